// Calls from a web page to anybody of an engine with the backend webrtc_p2p: fetch, pusher-js and WebRTC, nothing else.
// What is said is in docs/reference/p2p-signalling.md.
"use strict";

const SOURCES = ["microphone", "camera", "screen_share", "screen_share_audio"];
const BEAT = 1_000; // milliseconds between two signs of life
const SILENCE = 4_000; // without one, until the way counts as dead

/** Somebody who is signed in. `onincoming(call)` is told of every call that rings here; it may `accept` it. */
class Phone {
  constructor({ server, appId, key, identity }) {
    Object.assign(this, { server, appId, key, identity });
    this.onincoming = null;
  }

  async signIn() {
    const credentials = { "X-App-Id": this.appId, "X-App-Key": this.key };
    const session = await this.ask("POST", "/auth/session", { identity: this.identity }, credentials);
    this.token = session.user_token;
    const { hostname, port, protocol } = new URL(session.ws_url);
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
    const own = this.pusher.subscribe(`private-user.${this.identity}`);
    own.bind("call_started", ({ call, caller, callee }) => {
      if (callee === this.identity) this.onincoming?.(new Call(this, call, caller));
    });
    await subscribed(own);
  }

  /** Call somebody, and send what `stream` (of getUserMedia) has. */
  async call(callee, stream) {
    const type = stream.getVideoTracks().length ? "video_call" : "audio_call";
    const { call_id, ticket } = await this.ask("POST", "/calls", { callee, type });
    const call = new Call(this, call_id, callee);
    call.begin(ticket, stream);
    return call;
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
}

/** One call. `theirs`: the stream of what the other one sends; `onchange(call)` is told when `state` or that changes. */
class Call {
  constructor(phone, id, other) {
    Object.assign(this, { phone, id, other });
    this.state = "ringing"; // then "connecting", "connected", "over"
    this.theirs = new MediaStream();
    this.onchange = null;
  }

  async accept(stream) {
    const { ticket } = await this.phone.ask("POST", `/calls/${this.id}/accept`);
    this.begin(ticket, stream);
  }

  async hangUp() {
    this.say({ type: "bye" });
    this.end();
    await this.phone.ask("POST", `/calls/${this.id}/end`);
  }

  begin(ticket, stream) {
    this.token = ticket.token;
    this.mine = new Map();
    for (const track of stream.getTracks()) {
      const source = track.kind === "audio" ? "microphone" : "camera";
      this.mine.set(source, { id: newTrackId(), track, published: false });
    }
    this.lines = 0;
    this.stay = null;
    this.generation = 0; // of the way that there is, or is being built
    this.up = false;
    this.last = Promise.resolve();
    this.forget();
    this.become("connecting");
    this.channel = this.phone.pusher.subscribe(`private-call.${this.id}`);
    this.channel.bind("pusher:subscription_succeeded", () => this.hello());
    this.channel.bind("utd:signal", ({ line, message }) => line === this.line && this.take(message));
    this.channel.bind("utd:line_over", ({ line, lost }) => line === this.line && (lost ? this.hello() : this.end()));
    this.channel.bind("call_ended", () => this.end());
    this.timer = setInterval(() => this.beat(), BEAT);
  }

  /** On a new line: the first time, and whenever the way to the engine broke. */
  hello() {
    this.line = `line-${++this.lines}`;
    const back = this.stay ? { stay: this.stay, generation: this.up ? this.generation : 0 } : {};
    this.say({ type: "hello", version: 1, token: this.token, ...back });
  }

  say(message) {
    if (this.state !== "over") this.channel?.trigger("client-utd-signal", { line: this.line, message });
  }

  // One after the other: what comes while a description is being taken waits for it.
  take(message) {
    this.last = this.last.then(() => this[`on_${message.type}`]?.(message)).catch((error) => this.rebuild(String(error)));
  }

  on_welcome({ stay, grant, participants, tracks }) {
    this.stay = stay;
    this.grant = grant;
    this.forget();
    participants.forEach((participant) => this.on_joined({ participant }));
    const known = new Set(tracks.map((track) => track.id));
    let request = 0;
    for (const [source, own] of this.mine) {
      own.request = ++request;
      own.published = known.has(own.id);
      this.say({ type: "publish", request, track: { id: own.id, source, muted: !own.track.enabled, name: "" } });
    }
  }

  on_joined({ participant }) {
    this.theirGrant = participant.grant;
    participant.tracks.forEach((track) => this.theirTracks.set(track.id, track));
    this.tellWants();
  }

  on_left() {
    this.forget();
    this.close();
  }

  on_published({ identity, track }) {
    if (identity === this.phone.identity) return;
    this.theirTracks.set(track.id, track);
    this.tellWants();
  }

  on_unpublished({ identity, track }) {
    this.theirTracks.delete(track);
    const own = [...this.mine.values()].find(({ id }) => id === track);
    if (own && identity === this.phone.identity) own.published = false;
    this.send();
  }

  on_granted({ identity, grant }) {
    if (identity === this.phone.identity) this.grant = grant;
    else this.theirGrant = grant;
    this.send();
  }

  on_muted({ identity, track, muted }) {
    const own = [...this.mine.values()].find(({ id }) => id === track);
    if (own && identity === this.phone.identity) own.track.enabled = !muted;
  }

  on_done({ request }) {
    for (const own of this.mine.values()) if (own.request === request) own.published = true;
    this.send();
  }

  on_denied({ message }) {
    console.warn(message);
  }

  on_ping() {
    this.say({ type: "pong" });
  }

  on_refused() {
    this.end();
  }

  on_ended() {
    this.end();
  }

  async on_pairing({ generation, role, ice_servers, relay_only }) {
    this.close();
    this.generation = generation;
    this.wants = {};
    const peer = new RTCPeerConnection({
      iceServers: ice_servers,
      iceTransportPolicy: relay_only ? "relay" : "all",
      bundlePolicy: "max-bundle",
    });
    this.peer = peer;
    // Whoever offers makes the sections; whoever answers finds them in the offer.
    if (role === "offerer") {
      for (const kind of ["audio", "video", "video", "audio"]) peer.addTransceiver(kind, { direction: "sendrecv" });
    }
    this.reliable = peer.createDataChannel("reliable", { negotiated: true, id: 0 });
    this.lossy = peer.createDataChannel("lossy", { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 });
    this.reliable.binaryType = this.lossy.binaryType = "arraybuffer";
    this.reliable.onmessage = ({ data }) => peer === this.peer && this.hear(data);
    this.lossy.onmessage = ({ data }) => peer === this.peer && this.hear(data);
    this.reliable.onopen = this.lossy.onopen = () => peer === this.peer && this.look();
    peer.onconnectionstatechange = () => {
      if (peer !== this.peer) return;
      if (peer.connectionState === "failed") this.rebuild("the connection failed");
      else this.look();
    };
    peer.onicecandidate = ({ candidate }) => {
      if (peer !== this.peer) return;
      const { candidate: text, sdpMid: mid, sdpMLineIndex: index } = candidate ?? { candidate: "", sdpMid: "0", sdpMLineIndex: 0 };
      this.say({ type: "candidate", generation, candidate: text, mid, index });
    };
    if (role === "offerer") await this.describe();
  }

  async on_description({ generation, kind, sdp }) {
    if (generation !== this.generation) return;
    await this.peer.setRemoteDescription({ type: kind, sdp });
    if (kind === "offer") {
      for (const transceiver of this.peer.getTransceivers()) transceiver.direction = "sendrecv";
      await this.describe();
    }
    const [microphone, camera] = this.peer.getTransceivers();
    this.theirs = new MediaStream([microphone.receiver.track, camera.receiver.track]);
    this.send();
    this.onchange?.(this);
  }

  async on_candidate({ generation, candidate, mid, index }) {
    if (generation !== this.generation || !candidate) return;
    await this.peer.addIceCandidate({ candidate, sdpMid: mid, sdpMLineIndex: index });
  }

  async describe() {
    await this.peer.setLocalDescription();
    const { type: kind, sdp } = this.peer.localDescription;
    this.say({ type: "description", generation: this.generation, kind, sdp });
  }

  look() {
    const open = [this.reliable, this.lossy].every(({ readyState }) => readyState === "open");
    if (this.up || !open || this.peer.connectionState !== "connected") return;
    this.up = true;
    this.heardAt = performance.now();
    this.tellWants();
    this.become("connected");
  }

  hear(data) {
    this.heardAt = performance.now();
    if (typeof data !== "string") return; // data of the application
    const said = JSON.parse(data);
    if ("beat" in said) this.lossy.send(JSON.stringify({ echo: said.beat, ack: 0 }));
    if ("wants" in said) {
      Object.assign(this.wants, said.wants);
      this.send();
    }
  }

  beat() {
    if (!this.up) return;
    if (performance.now() - this.heardAt > SILENCE) return this.rebuild("no sign of life");
    this.beats = ((this.beats ?? 0) + 1) % 2 ** 32;
    if (this.lossy.readyState === "open") this.lossy.send(JSON.stringify({ beat: this.beats, ack: 0 }));
  }

  /** Everything that they publish is wanted here. */
  tellWants() {
    if (!this.up) return;
    const wants = Object.fromEntries([...this.theirTracks.keys()].map((id) => [id, true]));
    this.reliable.send(JSON.stringify({ wants }));
  }

  /** Send what is published, may be sent and is wanted: sound until it is refused, pictures once they are wanted. */
  send() {
    if (!this.peer?.remoteDescription) return;
    const transceivers = this.peer.getTransceivers();
    for (const [source, own] of this.mine) {
      const isWanted = this.wants[own.id] ?? own.track.kind === "audio";
      const mayBeSent = this.grant.publish.includes(source) && this.theirGrant?.subscribe;
      const { sender } = transceivers[SOURCES.indexOf(source)];
      sender.replaceTrack(own.published && mayBeSent && isWanted ? own.track : null);
    }
    this.theirs.getTracks().forEach((track) => {
      const source = track.kind === "audio" ? "microphone" : "camera";
      track.enabled = this.theirGrant?.publish.includes(source) ?? false;
    });
  }

  /** The way is dead: another one, please. */
  rebuild(why) {
    if (this.state === "over" || !this.peer) return;
    this.close();
    this.become("connecting");
    this.say({ type: "rebuild", generation: this.generation, why: why.slice(0, 1_000) });
  }

  forget() {
    this.theirTracks = new Map();
    this.theirGrant = null;
  }

  close() {
    this.up = false;
    const peer = this.peer;
    this.peer = null;
    peer?.close();
  }

  end() {
    if (this.state === "over") return;
    clearInterval(this.timer);
    this.close();
    this.phone.pusher.unsubscribe(`private-call.${this.id}`);
    this.become("over");
  }

  become(state) {
    this.state = state;
    this.onchange?.(this);
  }
}

function newTrackId() {
  const digits = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0"));
  return `TR_${digits.join("")}`;
}

function subscribed(channel) {
  return new Promise((resolve, reject) => {
    channel.bind("pusher:subscription_succeeded", resolve);
    channel.bind("pusher:subscription_error", ({ error }) => reject(new Error(error)));
  });
}
