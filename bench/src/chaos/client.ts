import type { IConnackPacket, Packet } from 'mqtt-packet';
import { ClientState, type OpenPublish } from './client-state.ts';
import {
  type DisconnectHow,
  decodeMessage,
  encodeMessage,
  type History,
  type MessageId,
} from './history.ts';
import { type Endpoint, Wire } from './wire.ts';

export interface ClientOptions {
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly history: History;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** MQTT 5 Session Expiry Interval in seconds; default 86,400. */
  readonly sessionExpiryInterval?: number;
  /** MQTT 5 Receive Maximum that we ask for and watch; default 65,535. */
  readonly receiveMaximum?: number;
  readonly keepAliveSeconds?: number;
  /** How long CONNECT may go unanswered, connecting included; default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Acknowledgements leave after a random delay up to this, in order; default 0. */
  readonly ackDelayMsMax?: number;
  readonly payloadBytes?: number;
}

/** How long the server may take to close a connection that has been taken over. */
const TAKEOVER_MS = 10_000;

/**
 * A thin MQTT client whose Session State outlives connections and servers, and that writes all it
 * does and sees into a {@link History}. It delivers a QoS 2 message when its PUBLISH arrives with a
 * packet identifier that it does not hold, which is what makes exactly-once the server's to break.
 */
export class ChaosClient {
  readonly clientId: string;
  readonly state = new ClientState();
  readonly #options: ClientOptions;
  readonly #history: History;
  #wire: Wire | undefined;
  /** Connections left open by {@link abandon}, which the server has to close. */
  readonly #abandoned = new Set<Wire>();
  /** Called for each PUBLISH that is a new message. */
  onMessage: (message: MessageId) => void = () => {};
  /** Called when an accepted connection is over. */
  onDisconnected: (how: DisconnectHow) => void = () => {};
  /** Called when room in the window may have appeared. */
  onAcked: (message: MessageId) => void = () => {};

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#history = options.history;
    this.clientId = options.clientId;
  }

  get connected(): boolean {
    return this.#wire?.accepted === true;
  }

  /** The node at the other end, or undefined. */
  get node(): string | undefined {
    return this.#wire?.endpoint.node;
  }

  /** PUBLISHes sent and not acknowledged (PUBACK, PUBREC). */
  get inFlight(): number {
    return this.state.publishing.size;
  }

  /** How many more messages the server would take now. */
  get room(): number {
    if (!this.connected) return 0;
    return (this.#wire?.serverReceiveMaximum ?? 0) - this.state.outstanding;
  }

  /** One attempt. Resolves to CONNACK's session present, or to undefined if there was no acceptance. */
  connect(endpoint: Endpoint, cleanStart = false): Promise<boolean | undefined> {
    if (this.#wire) throw new Error(`${this.clientId} is connected already`);
    const { promise, resolve } = Promise.withResolvers<boolean | undefined>();
    const { version, random, ackDelayMsMax = 0, connectTimeoutMs = 10_000 } = this.#options;
    const keepAliveMs = this.#keepAliveSeconds * 1_000;
    const ackDelayMs = (): number => ackDelayMsMax * random();
    const wire = new Wire(
      { endpoint, version, keepAliveMs, ackDelayMs },
      {
        onOpen: () => this.#sendConnect(wire, cleanStart),
        onPacket: (packet) => {
          if (wire.accepted) return this.#onPacket(wire, packet);
          clearTimeout(timer);
          resolve(this.#onConnack(wire, packet, cleanStart));
        },
        onUnreadable: (why) => this.#violation(wire, `unreadable packet: ${why}`),
        onSilent: () => {
          this.#history.append({ type: 'note', text: `${this.clientId}: no PINGRESP, hung up` });
        },
        onClosed: () => {
          clearTimeout(timer);
          this.#abandoned.delete(wire);
          if (this.#wire === wire) this.#onGone(wire);
          resolve(undefined);
        },
      },
    );
    const timer = setTimeout(() => wire.socket.destroy(), connectTimeoutMs);
    this.#wire = wire;
    return promise;
  }

  /** SUBSCRIBE; resolves to SUBACK's reason code, or to undefined if the connection ended before. */
  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<number | undefined> {
    const packetId = this.state.freeId();
    const { client } = this.#who();
    this.#history.append({ type: 'subscribe-sent', client, filter, qos });
    const granted = this.#await(packetId, filter);
    this.#send({ cmd: 'subscribe', messageId: packetId, subscriptions: [{ topic: filter, qos }] });
    return granted;
  }

  /** UNSUBSCRIBE; resolves to true once UNSUBACK has come, to false if the connection ended before. */
  async unsubscribe(filter: string): Promise<boolean> {
    const packetId = this.state.freeId();
    this.#history.append({ type: 'unsubscribe-sent', client: this.clientId, filter });
    const answered = this.#await(packetId, filter);
    this.#send({ cmd: 'unsubscribe', messageId: packetId, unsubscriptions: [filter] });
    return (await answered) !== undefined;
  }

  /** PUBLISH with the message's own QoS; the answer comes through the history and `onAcked`. */
  publish(message: MessageId): void {
    const payload = encodeMessage(message, this.#options.payloadBytes ?? 100);
    this.#sendPublish(this.state.begin(message, payload), false);
  }

  /**
   * Leaves: with DISCONNECT, or by dropping the connection in the middle of whatever goes on, or by
   * resetting it so that bytes on the way are lost. Resolves once the socket is closed.
   */
  disconnect(how: 'graceful' | 'abrupt' | 'reset'): Promise<void> {
    return this.#wire?.close(how) ?? Promise.resolve();
  }

  /**
   * Turns its back on the connection without closing it, as a client does whose address changed. Once
   * it is connected elsewhere, the server has to close the old connection [MQTT-3.1.4-3].
   */
  abandon(): void {
    const wire = this.#wire;
    if (!wire?.accepted) return;
    wire.ended = 'abandoned';
    wire.silence();
    this.#abandoned.add(wire);
    this.#onGone(wire);
  }

  /** Closes what it has abandoned; the server's time to do so itself is over. */
  destroyAbandoned(): void {
    for (const { socket } of this.#abandoned) socket.destroy();
  }

  #sendConnect(wire: Wire, clean: boolean): void {
    const { clientId, version, sessionExpiryInterval, receiveMaximum } = this.#options;
    const keepalive = this.#keepAliveSeconds;
    const { node } = wire.endpoint;
    this.#history.append({ type: 'connect-sent', client: clientId, node, cleanStart: clean });
    const properties = {
      sessionExpiryInterval: sessionExpiryInterval ?? 86_400,
      receiveMaximum: receiveMaximum ?? 65_535,
    };
    const base = { cmd: 'connect', protocolId: 'MQTT', clientId, clean, keepalive } as const;
    if (version === 4) wire.send({ ...base, protocolVersion: 4 });
    else wire.send({ ...base, protocolVersion: 5, properties });
  }

  #onConnack(wire: Wire, packet: Packet, cleanStart: boolean): boolean | undefined {
    const { client, node } = this.#who();
    if (packet.cmd !== 'connack') {
      this.#violation(wire, `${packet.cmd} before CONNACK`);
      return undefined;
    }
    const reasonCode = packet.reasonCode ?? packet.returnCode ?? 0;
    if (reasonCode !== 0) {
      this.#history.append({ type: 'connect-refused', client, node, reasonCode });
      wire.socket.destroy();
      return undefined;
    }
    const { sessionPresent } = packet;
    this.#history.append({ type: 'connected', client, node, cleanStart, sessionPresent });
    wire.accepted = true;
    wire.serverReceiveMaximum = receiveMaximumOf(packet);
    if (!sessionPresent) this.#discard();
    this.#resend();
    wire.startPings();
    this.#expectTakeover();
    return sessionPresent;
  }

  /** [MQTT-3.1.4-3]: at most one connection per Client Identifier, so the abandoned ones must close. */
  #expectTakeover(): void {
    for (const old of this.#abandoned) {
      const timer = setTimeout(() => {
        this.#violation(old, `still open ${TAKEOVER_MS} ms after the client connected elsewhere`);
      }, TAKEOVER_MS);
      old.socket.once('close', () => clearTimeout(timer));
    }
  }

  /** The server knows nothing of us, so neither may we: unacknowledged messages are given up. */
  #discard(): void {
    for (const { message } of this.state.discard()) {
      this.#history.append({ type: 'publish-abandoned', client: this.clientId, message });
    }
  }

  /** [MQTT-4.4.0-1]: on a resumed session all unacknowledged PUBLISH and PUBREL, in their order. */
  #resend(): void {
    for (const packetId of this.state.releasing.keys()) this.#sendPubrel(packetId, 0);
    for (const publish of this.state.publishing.values()) this.#sendPublish(publish, true);
  }

  #onPacket(wire: Wire, packet: Packet): void {
    const packetId = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'publish':
        this.#onPublish(wire, packet);
        return;
      case 'puback':
      case 'pubrec':
        this.#onAcknowledged(packet.cmd, packetId, packet.reasonCode ?? 0);
        return;
      case 'pubcomp':
        this.#onComplete(packetId);
        return;
      case 'pubrel': {
        this.state.incoming.delete(packetId);
        wire.acknowledge({ cmd: 'pubcomp', packetId });
        return;
      }
      case 'suback':
        this.#onSuback(wire, packetId, Number(packet.granted[0]));
        return;
      case 'unsuback':
        this.#onUnsuback(wire, packetId);
        return;
      case 'disconnect':
        wire.ended = 'server';
        wire.reasonCode = packet.reasonCode ?? 0;
        wire.socket.destroy();
        return;
      case 'pingresp':
        return;
      default:
        this.#violation(wire, `unexpected ${packet.cmd}`);
        return;
    }
  }

  #onPublish(wire: Wire, packet: Packet & { cmd: 'publish' }): void {
    const { qos, dup, retain, topic } = packet;
    const packetId = packet.messageId ?? 0;
    const message = decodeMessage(packet.payload.toString());
    if (!message || message.topic !== topic) {
      this.#violation(wire, `PUBLISH of foreign bytes on ${topic}`);
      return;
    }
    const isNew = qos === 2 ? this.state.hold(packetId) : true;
    const { client } = this.#who();
    const how = { qos, dup, retain, packetId, isNew };
    this.#history.append({ type: 'received', client, message, ...how });
    if (qos > 0) {
      wire.unacknowledged.add(packetId);
      const allowed = this.#options.receiveMaximum ?? 65_535;
      if (this.#options.version === 5 && wire.unacknowledged.size > allowed) {
        this.#violation(wire, `Receive Maximum ${allowed} exceeded`);
      }
      wire.acknowledge({ cmd: qos === 1 ? 'puback' : 'pubrec', packetId });
    }
    if (isNew) this.onMessage(message);
  }

  #onAcknowledged(cmd: 'puback' | 'pubrec', packetId: number, reasonCode: number): void {
    const { state, clientId: client } = this;
    const publish = state.publishing.get(packetId);
    const wanted = cmd === 'puback' ? 1 : 2;
    if (!publish || publish.message.qos !== wanted) {
      // A PUBREC repeated for a message that we are releasing asks for the PUBREL again.
      if (cmd === 'pubrec') this.#sendPubrel(packetId, state.releasing.has(packetId) ? 0 : 0x92);
      return;
    }
    const { message } = publish;
    if (reasonCode >= 0x80) {
      state.publishing.delete(packetId);
      this.#history.append({ type: 'publish-refused', client, message, reasonCode });
    } else {
      this.#history.append({ type: 'publish-acked', client, message, reasonCode });
      if (cmd === 'puback') state.publishing.delete(packetId);
      else {
        state.recorded(packetId);
        this.#sendPubrel(packetId, 0);
      }
    }
    this.onAcked(message);
  }

  #onComplete(packetId: number): void {
    const publish = this.state.releasing.get(packetId);
    if (!publish) return;
    this.state.releasing.delete(packetId);
    const { message } = publish;
    this.#history.append({ type: 'publish-completed', client: this.clientId, message });
  }

  #onSuback(wire: Wire, packetId: number, granted: number): void {
    const waiter = wire.waiters.get(packetId);
    if (!waiter) {
      this.#violation(wire, `SUBACK ${packetId} that no request waits for`);
      return;
    }
    wire.waiters.delete(packetId);
    const { filter } = waiter;
    this.#history.append({ type: 'subscribed', client: this.clientId, filter, granted });
    waiter.done(granted);
  }

  #onUnsuback(wire: Wire, packetId: number): void {
    const waiter = wire.waiters.get(packetId);
    if (!waiter) {
      this.#violation(wire, `UNSUBACK ${packetId} that no request waits for`);
      return;
    }
    wire.waiters.delete(packetId);
    const { filter } = waiter;
    this.#history.append({ type: 'unsubscribed', client: this.clientId, filter });
    waiter.done(0);
  }

  #await(packetId: number, filter: string): Promise<number | undefined> {
    const wire = this.#wire;
    if (!wire?.accepted) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    wire.waiters.set(packetId, { filter, done: resolve });
    return promise;
  }

  #sendPublish({ packetId, message, payload }: OpenPublish, dup: boolean): void {
    const { clientId: client } = this;
    this.#history.append({ type: 'publish-sent', client, message, packetId, dup });
    const { topic, qos } = message;
    this.#send({ cmd: 'publish', messageId: packetId, topic, payload, qos, dup, retain: false });
  }

  #sendPubrel(messageId: number, reasonCode: number): void {
    const base = { cmd: 'pubrel', messageId } as const;
    this.#send(this.#options.version === 5 && reasonCode !== 0 ? { ...base, reasonCode } : base);
  }

  #send(packet: Packet): void {
    this.#wire?.send(packet);
  }

  #violation(wire: Wire, what: string): void {
    const { node } = wire.endpoint;
    this.#history.append({ type: 'protocol-violation', client: this.clientId, node, what });
    // What else the same bytes hold is of no interest any more.
    wire.ended ??= 'abrupt';
    wire.socket.destroy();
  }

  /** The connection is over for us, whether or not its socket is closed. */
  #onGone(wire: Wire): void {
    const { accepted, ended: how = 'lost', reasonCode } = wire;
    const end = { ...this.#who(), how, ...(reasonCode === undefined ? {} : { reasonCode }) };
    this.#wire = undefined;
    if (!accepted) return;
    this.#history.append({ type: 'disconnected', ...end });
    this.onDisconnected(how);
  }

  #who(): { client: string; node: string } {
    return { client: this.clientId, node: this.#wire?.endpoint.node ?? '' };
  }

  get #keepAliveSeconds(): number {
    return this.#options.keepAliveSeconds ?? 10;
  }
}

function receiveMaximumOf(connack: IConnackPacket): number {
  return connack.properties?.receiveMaximum ?? 65_535;
}
