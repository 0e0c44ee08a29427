import net from 'node:net';
import mqttPacket, { type IConnackPacket, type Packet, type Parser } from 'mqtt-packet';
import { ClientState, type Outgoing } from './client-state.ts';
import {
  type DisconnectHow,
  decodeMessage,
  encodeMessage,
  type History,
  type MessageId,
} from './history.ts';

/** Where to connect: a node's name, for the history, and its MQTT address. */
export interface Target {
  readonly node: string;
  readonly host: string;
  readonly port: number;
}

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

type Ack = { readonly cmd: 'puback' | 'pubrec' | 'pubcomp'; readonly packetId: number };
type Waiter = { readonly filter: string; readonly done: (reasonCode: number) => void };

/** What one network connection holds and the next starts without. */
interface Connection {
  readonly target: Target;
  readonly socket: net.Socket;
  readonly parser: Parser;
  readonly waiters: Map<number, Waiter>;
  acks: Ack[];
  ackTimer: NodeJS.Timeout | undefined;
  pingTimer: NodeJS.Timeout | undefined;
  accepted: boolean;
  ended: DisconnectHow | undefined;
  reasonCode: number | undefined;
  lastHeardMs: number;
  /** Identifiers of PUBLISHes received here whose PUBACK or PUBCOMP has not left. */
  readonly unacknowledged: Set<number>;
  /** How many PUBLISHes of ours the server takes unacknowledged. */
  serverReceiveMaximum: number;
}

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
  #connection: Connection | undefined;
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
    return this.#connection?.accepted === true;
  }

  /** The node at the other end, or undefined. */
  get node(): string | undefined {
    return this.#connection?.target.node;
  }

  /** PUBLISHes sent and not acknowledged (PUBACK, PUBREC). */
  get inFlight(): number {
    return this.state.publishing.size;
  }

  /** How many more messages the server would take now. */
  get room(): number {
    if (!this.connected) return 0;
    return (this.#connection?.serverReceiveMaximum ?? 0) - this.state.outstanding;
  }

  /** One attempt. Resolves to CONNACK's session present, or to undefined if there was no acceptance. */
  connect(target: Target, cleanStart = false): Promise<boolean | undefined> {
    if (this.#connection) throw new Error(`${this.clientId} is connected already`);
    const { promise, resolve } = Promise.withResolvers<boolean | undefined>();
    const socket = net.connect({ host: target.host, port: target.port, noDelay: true });
    const connection: Connection = {
      target,
      socket,
      parser: mqttPacket.parser({ protocolVersion: this.#options.version }),
      waiters: new Map(),
      acks: [],
      ackTimer: undefined,
      pingTimer: undefined,
      accepted: false,
      ended: undefined,
      reasonCode: undefined,
      lastHeardMs: performance.now(),
      unacknowledged: new Set(),
      serverReceiveMaximum: 65_535,
    };
    this.#connection = connection;
    const timer = setTimeout(() => socket.destroy(), this.#options.connectTimeoutMs ?? 10_000);
    socket.once('connect', () => this.#sendConnect(connection, cleanStart));
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('data', (chunk) => {
      connection.lastHeardMs = performance.now();
      if (this.#connection === connection) connection.parser.parse(chunk);
    });
    connection.parser.on('error', (error) =>
      this.#violation(connection, `unreadable packet: ${error.message}`),
    );
    connection.parser.on('packet', (packet) => {
      // Bytes that arrive after we have left belong to nobody.
      if (this.#connection !== connection || connection.ended) return;
      if (connection.accepted) {
        this.#onPacket(connection, packet);
        return;
      }
      clearTimeout(timer);
      resolve(this.#onConnack(connection, packet, cleanStart));
    });
    socket.once('close', () => {
      clearTimeout(timer);
      this.#onClosed(connection);
      resolve(undefined);
    });
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
    const connection = this.#connection;
    if (!connection) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.socket.once('close', () => resolve());
    if (how === 'graceful' && connection.accepted) {
      connection.ended = 'graceful';
      this.#send({ cmd: 'disconnect', reasonCode: 0 } as Packet);
      // A server that does not close its end within a second is left with ours closed.
      connection.socket.end();
      const timer = setTimeout(() => connection.socket.destroy(), 1_000);
      connection.socket.once('close', () => clearTimeout(timer));
    } else {
      connection.ended = 'abrupt';
      if (how === 'reset') connection.socket.resetAndDestroy();
      else connection.socket.destroy();
    }
    return promise;
  }

  #sendConnect(connection: Connection, clean: boolean): void {
    const { clientId, version, sessionExpiryInterval, receiveMaximum } = this.#options;
    const keepalive = this.#options.keepAliveSeconds ?? 10;
    const { node } = connection.target;
    this.#history.append({ type: 'connect-sent', client: clientId, node, cleanStart: clean });
    const properties = {
      sessionExpiryInterval: sessionExpiryInterval ?? 86_400,
      receiveMaximum: receiveMaximum ?? 65_535,
    };
    const base = { cmd: 'connect', protocolId: 'MQTT', clientId, clean, keepalive } as const;
    if (version === 4) this.#send({ ...base, protocolVersion: 4 });
    else this.#send({ ...base, protocolVersion: 5, properties });
  }

  #onConnack(c: Connection, packet: Packet, cleanStart: boolean): boolean | undefined {
    const { client, node } = this.#who();
    if (packet.cmd !== 'connack') {
      this.#violation(c, `${packet.cmd} before CONNACK`);
      return undefined;
    }
    const reasonCode = packet.reasonCode ?? packet.returnCode ?? 0;
    if (reasonCode !== 0) {
      this.#history.append({ type: 'connect-refused', client, node, reasonCode });
      c.socket.destroy();
      return undefined;
    }
    const { sessionPresent } = packet;
    this.#history.append({ type: 'connected', client, node, cleanStart, sessionPresent });
    c.accepted = true;
    c.serverReceiveMaximum = receiveMaximumOf(packet);
    if (!sessionPresent) this.#discard();
    this.#resend();
    this.#startPings(c);
    return sessionPresent;
  }

  /** The server knows nothing of us, so neither may we: unacknowledged messages are given up. */
  #discard(): void {
    for (const { message } of this.state.discard()) {
      this.#history.append({ type: 'publish-abandoned', client: this.clientId, message });
    }
  }

  /** [MQTT-4.4.0-1]: on a resumed session all unacknowledged PUBLISH and PUBREL, in their order. */
  #resend(): void {
    for (const packetId of this.state.releasing.keys()) this.#sendAck('pubrel', packetId, 0);
    for (const outgoing of this.state.publishing.values()) this.#sendPublish(outgoing, true);
  }

  #startPings(connection: Connection): void {
    const keepAliveMs = (this.#options.keepAliveSeconds ?? 10) * 1_000;
    if (keepAliveMs === 0) return;
    connection.pingTimer = setInterval(() => {
      // Silent for one and a half keep-alives in spite of pings: the connection is taken for dead.
      if (performance.now() - connection.lastHeardMs > 1.5 * keepAliveMs) {
        this.#history.append({ type: 'note', text: `${this.clientId}: no PINGRESP, hung up` });
        connection.socket.destroy();
      } else this.#send({ cmd: 'pingreq' });
    }, keepAliveMs / 2);
  }

  #onPacket(connection: Connection, packet: Packet): void {
    const packetId = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'publish':
        this.#onPublish(connection, packet);
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
        this.#acknowledge(connection, { cmd: 'pubcomp', packetId });
        return;
      }
      case 'suback':
        this.#onSuback(connection, packetId, Number(packet.granted[0]));
        return;
      case 'unsuback':
        this.#onUnsuback(connection, packetId);
        return;
      case 'disconnect':
        connection.ended = 'server';
        connection.reasonCode = packet.reasonCode ?? 0;
        connection.socket.destroy();
        return;
      case 'pingresp':
        return;
      default:
        this.#violation(connection, `unexpected ${packet.cmd}`);
        return;
    }
  }

  #onPublish(connection: Connection, packet: Packet & { cmd: 'publish' }): void {
    const { qos, dup, retain, topic } = packet;
    const packetId = packet.messageId ?? 0;
    const message = decodeMessage(packet.payload.toString());
    if (!message || message.topic !== topic) {
      this.#violation(connection, `PUBLISH of foreign bytes on ${topic}`);
      return;
    }
    const isNew = qos === 2 ? this.state.hold(packetId) : true;
    const { client } = this.#who();
    const how = { qos, dup, retain, packetId, isNew };
    this.#history.append({ type: 'received', client, message, ...how });
    if (qos > 0) {
      connection.unacknowledged.add(packetId);
      const allowed = this.#options.receiveMaximum ?? 65_535;
      if (this.#options.version === 5 && connection.unacknowledged.size > allowed) {
        this.#violation(connection, `Receive Maximum ${allowed} exceeded`);
      }
      this.#acknowledge(connection, { cmd: qos === 1 ? 'puback' : 'pubrec', packetId });
    }
    if (isNew) this.onMessage(message);
  }

  /** Acknowledges now or a little later, always in order [MQTT-4.6.0-2, -3, -4]. */
  #acknowledge(connection: Connection, ack: Ack): void {
    connection.acks.push(ack);
    const delayMs = (this.#options.ackDelayMsMax ?? 0) * this.#options.random();
    if (delayMs < 1 && connection.ackTimer === undefined) {
      this.#flushAcks(connection);
      return;
    }
    connection.ackTimer ??= setTimeout(() => {
      connection.ackTimer = undefined;
      this.#flushAcks(connection);
    }, delayMs);
  }

  #flushAcks(connection: Connection): void {
    if (this.#connection !== connection || connection.ended) return;
    const acks = connection.acks;
    connection.acks = [];
    for (const { cmd, packetId } of acks) {
      if (cmd !== 'pubrec') connection.unacknowledged.delete(packetId);
      this.#sendAck(cmd, packetId, 0);
    }
  }

  #onAcknowledged(cmd: 'puback' | 'pubrec', packetId: number, reasonCode: number): void {
    const { state, clientId: client } = this;
    const outgoing = state.publishing.get(packetId);
    const wanted = cmd === 'puback' ? 1 : 2;
    if (!outgoing || outgoing.message.qos !== wanted) {
      // A PUBREC repeated for a message that we are releasing asks for the PUBREL again.
      if (cmd === 'pubrec')
        this.#sendAck('pubrel', packetId, state.releasing.has(packetId) ? 0 : 146);
      return;
    }
    const { message } = outgoing;
    if (reasonCode >= 0x80) {
      state.publishing.delete(packetId);
      this.#history.append({ type: 'publish-refused', client, message, reasonCode });
    } else {
      this.#history.append({ type: 'publish-acked', client, message, reasonCode });
      if (cmd === 'puback') state.publishing.delete(packetId);
      else {
        state.recorded(packetId);
        this.#sendAck('pubrel', packetId, 0);
      }
    }
    this.onAcked(message);
  }

  #onComplete(packetId: number): void {
    const outgoing = this.state.releasing.get(packetId);
    if (!outgoing) return;
    this.state.releasing.delete(packetId);
    const { message } = outgoing;
    this.#history.append({ type: 'publish-completed', client: this.clientId, message });
  }

  #onSuback(connection: Connection, packetId: number, granted: number): void {
    const waiter = connection.waiters.get(packetId);
    if (!waiter) {
      this.#violation(connection, `SUBACK ${packetId} that nobody waits for`);
      return;
    }
    connection.waiters.delete(packetId);
    const { filter } = waiter;
    this.#history.append({ type: 'subscribed', client: this.clientId, filter, granted });
    waiter.done(granted);
  }

  #onUnsuback(connection: Connection, packetId: number): void {
    const waiter = connection.waiters.get(packetId);
    if (!waiter) {
      this.#violation(connection, `UNSUBACK ${packetId} that nobody waits for`);
      return;
    }
    connection.waiters.delete(packetId);
    const { filter } = waiter;
    this.#history.append({ type: 'unsubscribed', client: this.clientId, filter });
    waiter.done(0);
  }

  #await(packetId: number, filter: string): Promise<number | undefined> {
    const connection = this.#connection;
    if (!connection?.accepted) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    connection.waiters.set(packetId, { filter, done: resolve });
    connection.socket.once('close', () => resolve(undefined));
    return promise;
  }

  #sendPublish({ packetId, message, payload }: Outgoing, dup: boolean): void {
    const { clientId: client } = this;
    this.#history.append({ type: 'publish-sent', client, message, packetId, dup });
    const { topic, qos } = message;
    this.#send({ cmd: 'publish', messageId: packetId, topic, payload, qos, dup, retain: false });
  }

  #sendAck(cmd: Ack['cmd'] | 'pubrel', messageId: number, reasonCode: number): void {
    const withReason = this.#options.version === 5 && reasonCode !== 0;
    this.#send((withReason ? { cmd, messageId, reasonCode } : { cmd, messageId }) as Packet);
  }

  #send(packet: Packet): void {
    const connection = this.#connection;
    if (!connection?.socket.writable) return;
    connection.socket.write(
      mqttPacket.generate(packet, { protocolVersion: this.#options.version }),
    );
  }

  #violation(connection: Connection, what: string): void {
    const { node } = connection.target;
    this.#history.append({ type: 'protocol-violation', client: this.clientId, node, what });
    connection.socket.destroy();
  }

  #onClosed(connection: Connection): void {
    clearTimeout(connection.ackTimer);
    clearInterval(connection.pingTimer);
    this.#connection = undefined;
    if (!connection.accepted) return;
    const { ended: how = 'lost', reasonCode } = connection;
    this.#history.append({
      type: 'disconnected',
      ...this.#who(connection),
      how,
      ...(reasonCode === undefined ? {} : { reasonCode }),
    });
    this.onDisconnected(how);
  }

  #who(connection: Connection | undefined = this.#connection): { client: string; node: string } {
    return { client: this.clientId, node: connection?.target.node ?? '' };
  }
}

function receiveMaximumOf(connack: IConnackPacket): number {
  return connack.properties?.receiveMaximum ?? 65_535;
}
