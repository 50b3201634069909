// Obeys commands with a stock pusher-js, and reports everything that it hears. Runs in Node and in a page.
"use strict";

function makeDriver(Pusher, report) {
  let pusher = null;

  function watch(channel) {
    channel.bind_global((event, data) => report({ what: "event", channel: channel.name, event, data }));
  }

  const commands = {
    connect({ key, options }) {
      pusher = new Pusher(key, options);
      pusher.connection.bind("state_change", ({ current }) =>
        report({ what: "state", state: current, socket: pusher.connection.socket_id }),
      );
      pusher.connection.bind("error", (error) =>
        report({ what: "error", code: error?.data?.code ?? error?.error?.data?.code ?? null }),
      );
      pusher.user.bind_global((event, data) => report({ what: "user", event, data }));
    },
    subscribe({ channel }) {
      watch(pusher.subscribe(channel));
    },
    unsubscribe({ channel }) {
      pusher.unsubscribe(channel);
    },
    trigger({ channel, event, data }) {
      return pusher.channel(channel).trigger(event, data);
    },
    signin() {
      pusher.signin();
    },
    user() {
      return pusher.user.user_data;
    },
    members({ channel }) {
      const members = pusher.channel(channel).members;
      const ids = [];
      members.each((member) => ids.push(member.id));
      return { count: members.count, me: members.me?.id, ids };
    },
    say({ event, data }) {
      return pusher.connection.send_event(event, data);
    },
    disconnect() {
      pusher.disconnect();
    },
    reconnect() {
      pusher.connect();
    },
  };

  return function obey(command) {
    return commands[command.do](command) ?? null;
  };
}

if (typeof module !== "undefined") {
  module.exports = { makeDriver };
}
