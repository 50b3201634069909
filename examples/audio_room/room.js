// An audio room in a web page: fetch for what is done, pusher-js for what happens, livekit-client for what is heard.
"use strict";

const MICROPHONE = 2; // as livekit-client counts what may be sent

/** Somebody in an audio room. `onchange(room)` is told when one of these changes.
 *
 * `state`: "outside", "entering", "inside", "returning" or "over"; `why`: of the last two. `seats`: who sits where, as the
 * engine has it. `isHeard`: the own microphone is open. `voices`: an <audio> for each identity that is heard.
 *
 * With a `secret` only those who have the same hear each other; the media server has noise.
 */
class AudioRoom {
  constructor({ server, appId, key, identity, room, secret = "" }) {
    Object.assign(this, { server, appId, key, identity, name: room, secret });
    this.state = "outside";
    this.why = "";
    this.seats = [];
    this.isHeard = false;
    this.voices = new Map();
    this.onchange = null;
    this.turn = Promise.resolve();
  }

  get seat() {
    return this.seats.find((seat) => seat.identity === this.identity);
  }

  /** `asHost`: open the room where there is none. */
  async enter({ asHost = false } = {}) {
    this.become("entering");
    try {
      await this.goIn(asHost);
      this.become("inside");
    } catch (error) {
      this.end(error.message);
      throw error;
    }
  }

  async goIn(asHost) {
    const credentials = { "X-App-Id": this.appId, "X-App-Key": this.key };
    const session = await this.ask("POST", "/auth/session", { identity: this.identity }, credentials);
    this.token = session.user_token;
    const ticket = await this.ask("POST", "/token", { room: this.name, type: "audio_room", as_host: asHost });
    this.follow(session.ws_url);
    await this.listen(ticket);
    await this.look();
  }

  /** Any free seat; the microphone opens when the media server has been told that it may. */
  async takeSeat() {
    await this.ask("POST", `${this.path}/seats/any/take`);
  }

  async leaveSeat() {
    await this.ask("POST", `${this.path}/seats/leave`);
  }

  async leave() {
    this.end("left");
    await this.ask("POST", `${this.path}/leave`);
  }

  get path() {
    return `/rooms/${encodeURIComponent(this.name)}`;
  }

  async ask(method, path, body, credentials = { Authorization: `Bearer ${this.token}` }) {
    const answer = await fetch(`${this.server}/api/v1${path}`, {
      method,
      headers: { ...credentials, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const content = answer.status === 204 ? null : await answer.json();
    if (!answer.ok) throw new Error(`${content.message} [${content.code}]`);
    return content;
  }

  /** Every event of the room is a reason to look; after a broken connection so is the new subscription. */
  follow(url) {
    const { hostname, port, protocol } = new URL(url);
    this.pusher = new Pusher(this.key, {
      wsHost: hostname,
      wsPort: port || 80,
      wssPort: port || 443,
      forceTLS: protocol === "wss:",
      cluster: "",
      enabledTransports: ["ws", "wss"],
      channelAuthorization: {
        endpoint: `${this.server}/api/v1/channels/auth`,
        headers: { Authorization: `Bearer ${this.token}` },
      },
    });
    this.pusher.subscribe(`private-room.${this.name}`).bind_global((event, about) => {
      if (event === "pusher:subscription_error" || event === "utd:unsubscribed") this.end(about?.error ?? "the room is over");
      else this.look().catch((error) => console.warn(error));
    });
  }

  async look() {
    if (this.state === "over") return;
    const { room } = await this.ask("GET", this.path);
    this.seats = room.grid.seats;
    this.onchange?.(this);
  }

  async listen({ url, token }) {
    const { Room, RoomEvent } = LivekitClient;
    this.media = new Room(this.secret ? await encryption(this.secret) : {});
    this.media
      .on(RoomEvent.TrackSubscribed, (track, _, { identity }) => {
        this.voices.set(identity, track.attach());
        this.onchange?.(this);
      })
      .on(RoomEvent.TrackUnsubscribed, (track, _, { identity }) => {
        track.detach();
        this.voices.delete(identity);
        this.onchange?.(this);
      })
      .on(RoomEvent.ParticipantPermissionsChanged, (_, whose) => whose === this.media.localParticipant && this.heed())
      .on(RoomEvent.Reconnecting, () => this.become("returning", "the media connection is being repaired"))
      .on(RoomEvent.Reconnected, () => {
        this.become("inside");
        this.heed();
      })
      .on(RoomEvent.Disconnected, (reason) => this.end(`the media server ended it (${reason})`));
    if (this.secret) await this.media.setE2EEEnabled(true);
    await this.media.connect(url, token);
    await this.heed();
  }

  /** Open or close the microphone, as the media server allows it; one after the other, and the last word counts. */
  heed() {
    this.turn = this.turn.then(async () => {
      const me = this.media.localParticipant;
      const mayBeHeard = me.permissions?.canPublishSources.includes(MICROPHONE) ?? false;
      const sent = me.getTrackPublication(LivekitClient.Track.Source.Microphone)?.track;
      if (mayBeHeard) await me.setMicrophoneEnabled(true);
      else if (sent) await me.unpublishTrack(sent);
      this.isHeard = mayBeHeard;
      this.onchange?.(this);
    }).catch((error) => console.warn(error));
    return this.turn;
  }

  end(why) {
    if (this.state === "over") return;
    this.become("over", why);
    this.media?.disconnect();
    this.pusher?.disconnect();
  }

  become(state, why = "") {
    if (this.state === "over") return;
    Object.assign(this, { state, why });
    this.onchange?.(this);
  }
}

/** What a Room is made with, to be encrypted from end to end. */
async function encryption(secret) {
  const keyProvider = new LivekitClient.ExternalE2EEKeyProvider();
  await keyProvider.setKey(secret);
  return { encryption: { keyProvider, worker: new Worker("livekit-client.e2ee.worker.js") } };
}
