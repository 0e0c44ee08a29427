import type { Handle } from '@shoal/swim/sim';
import { ClientExpiry, DAY_SECONDS } from './client-expiry.ts';
import { ClientInbox } from './client-inbox.ts';
import { ClientOutbox } from './client-outbox.ts';
import { type ClientCore, type ClientEnv, type ClientOptions, payloadOf } from './client-port.ts';
import {
  type Connection,
  type Message,
  openedConnection,
  type Session,
  type Subscription,
} from './history.ts';
import type { ClientPipe } from './pipe.ts';
import {
  encodeConnect,
  encodeDisconnect,
  encodeSubscribe,
  encodeUnsubscribe,
  PacketReader,
  PINGREQ,
  type ServerPacket,
} from './wire.ts';
import { Zombie } from './zombie.ts';

/** What a client tells the actor that drives it. */
export interface ClientEvents {
  onConnected(sessionPresent: boolean): void;
  onClosed(): void;
  onSubscribed?(filters: readonly string[]): void;
  onDelivered?(): void;
  /** PUBCOMP came: the Packet Identifier is free. */
  onCompleted?(): void;
}

/** A Will to set at CONNECT. */
export interface WillWish {
  readonly topic: string;
  readonly qos: number;
  readonly delaySeconds: number;
}

/** How to connect. */
interface ConnectWish {
  readonly cleanStart?: boolean;
  readonly will?: WillWish;
  readonly zombie?: boolean;
  /** Session Expiry Interval of this connection, instead of the client's. */
  readonly expirySeconds?: number;
}

/** A SUBSCRIBE or UNSUBSCRIBE without its answer. */
interface Request {
  readonly packetId: number;
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly subscriptions: readonly Subscription[];
  readonly sentAtMs: number;
}

/**
 * One MQTT client: the persistent client state of the specification, and one connection at a time.
 *
 * It keeps the rules that MQTT gives to clients (resend with the same Packet Identifiers in order,
 * acknowledge in order, never reuse an identifier in flight, discard state when the broker reports
 * no session), so that any fault is the broker's.
 */
export class SimClient implements ClientCore {
  readonly options: ClientOptions;
  readonly env: ClientEnv;
  readonly outbox: ClientOutbox;
  readonly inbox: ClientInbox;
  session: Session | undefined;
  connection: Connection | undefined;
  /** CONNACK arrived and the connection is usable. */
  connected = false;
  readonly #events: ClientEvents;
  readonly #expiry: ClientExpiry;
  #generation = 0;
  #pipe: ClientPipe | undefined;
  #reader: PacketReader | undefined;
  #zombie: Zombie | undefined;
  #requests: Request[] = [];
  #watchdog: Handle | undefined;
  #pinger: Handle | undefined;
  #lastHeardMs = 0;
  /** A session is known to exist at the broker: a CONNACK said so. */
  #sessionKnown = false;
  /** A Clean Start is under way: until a CONNACK, the old session may or may not be gone. */
  #mustClean = false;

  constructor(env: ClientEnv, options: ClientOptions, events: ClientEvents) {
    this.env = env;
    this.options = options;
    this.#events = events;
    this.outbox = new ClientOutbox(this);
    this.inbox = new ClientInbox(this);
    this.#expiry = new ClientExpiry(this);
  }

  get name(): string {
    return this.options.clientId;
  }

  get nowMs(): number {
    return this.env.scheduler.nowMs;
  }

  /** Nothing that this client sent awaits an answer. */
  get idle(): boolean {
    return this.outbox.size === 0 && this.#requests.length === 0;
  }

  /** Ordering domain of what is published now with this QoS. */
  domain(qos: number): string {
    const session = `${this.name}/${this.session?.generation ?? 0}`;
    return qos === 0 || this.session?.persistent !== true
      ? `${session}/${this.connection?.id}`
      : session;
  }

  /**
   * Opens a connection; one that is open is left behind without a word, or as `zombie` goes on
   * asking for what the broker must refuse by then.
   */
  connect(node: string, o: ConnectWish = {}): void {
    this.#zombie?.end();
    this.#zombie = undefined;
    if (o.zombie === true && this.connected && this.session?.persistent) this.#leaveZombie();
    else if (this.#pipe !== undefined) this.#drop(true);
    const cleanStart = o.cleanStart === true || this.#mustClean || !this.options.persistent;
    if (cleanStart) this.#forgetSession();
    this.#mustClean = cleanStart;
    const id = this.env.nextConnectionId();
    const remote = `${this.name}#${id}`;
    const will = o.will === undefined ? undefined : this.#willMessage(o.will, id);
    const pipe = this.env.dial(node, remote, {
      onData: (bytes) => this.#onData(pipe, reader, bytes),
      onClosed: () => this.#onPipeClosed(pipe),
    });
    const reader = new PacketReader(this.options.version);
    this.#reader = reader;
    this.#pipe = pipe;
    this.connected = false;
    this.#requests = [];
    const expiry = o.expirySeconds ?? this.options.sessionExpirySeconds ?? DAY_SECONDS;
    this.#expiry.wishedSeconds = this.options.persistent ? expiry : 0;
    const opened = {
      id,
      client: this.name,
      node,
      cleanStart,
      persistent: this.#expiry.wishedSeconds > 0,
      sentAtMs: this.nowMs,
      will,
      willDelayMs: (o.will?.delaySeconds ?? 0) * 1000,
    };
    this.connection = openedConnection(opened, pipe);
    this.env.history.connectionOpened(this.connection);
    this.say(
      `CONNECT to ${node} as #${id}${cleanStart ? ' clean' : ''}${will ? ` will #${will.id}` : ''}`,
    );
    pipe.dial();
    pipe.send(
      encodeConnect({
        version: this.options.version,
        clientId: this.name,
        cleanStart,
        keepAliveSeconds: this.options.keepAliveSeconds,
        sessionExpirySeconds: this.#expiry.wishedSeconds,
        receiveMaximum: this.options.receiveMaximum,
        will:
          will === undefined || o.will === undefined
            ? undefined
            : { ...o.will, payload: payloadOf(will), retain: false },
      }),
    );
    this.#watch();
  }

  /** DISCONNECT and close; MQTT 5 reason code 0x04 asks for the Will. */
  disconnect(reasonCode = 0): void {
    const connection = this.connection;
    if (this.#pipe === undefined || connection === undefined) return;
    const reason = this.options.version === 5 ? reasonCode : 0;
    if (this.connected) {
      this.say(`DISCONNECT ${reason}`);
      this.#pipe.send(encodeDisconnect(this.options.version, reason));
      // Where no process holds the other end, it is lost.
      if (connection.serverOpen()) connection.disconnectAtMs = this.nowMs;
      connection.disconnectReason = reason;
    }
    this.#drop(false);
  }

  /** The connection breaks; `quiet`: the broker is not told. */
  breakConnection(quiet: boolean): void {
    if (this.#pipe === undefined) return;
    this.say(quiet ? 'falls silent' : 'breaks its connection');
    this.#drop(quiet);
    this.#events.onClosed();
  }

  /** Reads nothing until then. */
  stall(untilMs: number): void {
    if (this.#pipe === undefined) return;
    this.say(`reads nothing until ${untilMs.toFixed(0)}`);
    this.#pipe.stalledUntilMs = Math.max(this.#pipe.stalledUntilMs, untilMs);
    if (this.connection) this.connection.stalledUntilMs = this.#pipe.stalledUntilMs;
  }

  subscribe(
    wishes: readonly { readonly filter: string; readonly qos: number }[],
    identifier = 0,
  ): void {
    const session = this.session;
    if (!this.connected || session === undefined || wishes.length === 0) return;
    const subscriptions = wishes.map(({ filter, qos }): Subscription => {
      // Repeating a SUBSCRIBE of the same QoS takes nothing away from one that holds.
      return {
        filter,
        qos,
        identifier,
        sentAtMs: this.nowMs,
        ackedAtMs: undefined,
        ackedBy: '',
        endSentAtMs: undefined,
        endAckedAtMs: undefined,
      };
    });
    session.subscriptions.push(...subscriptions);
    const packetId = this.outbox.takePacketId();
    this.#requests.push({ packetId, kind: 'subscribe', subscriptions, sentAtMs: this.nowMs });
    this.say(`SUBSCRIBE ${packetId} ${wishes.map((w) => `${w.filter}@${w.qos}`).join(' ')}`);
    this.send(encodeSubscribe(this.options.version, packetId, wishes, identifier));
  }

  unsubscribe(filters: readonly string[]): void {
    const session = this.session;
    if (!this.connected || session === undefined || filters.length === 0) return;
    const ended = session.subscriptions.filter(
      (s) => filters.includes(s.filter) && s.endAckedAtMs === undefined,
    );
    for (const subscription of ended) subscription.endSentAtMs ??= this.nowMs;
    const packetId = this.outbox.takePacketId();
    this.#requests.push({
      packetId,
      kind: 'unsubscribe',
      subscriptions: ended,
      sentAtMs: this.nowMs,
    });
    this.say(`UNSUBSCRIBE ${packetId} ${filters.join(' ')}`);
    this.send(encodeUnsubscribe(this.options.version, packetId, filters));
  }

  /** Sends bytes on the current connection. */
  send(bytes: Uint8Array): void {
    this.#pipe?.send(bytes);
    this.#watch();
  }

  say(what: string): void {
    this.env.transcript.note(this.name, what);
  }

  /** Packet identifiers of requests under way. */
  requesting(packetId: number): boolean {
    return this.#requests.some((request) => request.packetId === packetId);
  }

  onCompleted(): void {
    this.#events.onCompleted?.();
  }

  #willMessage(wish: WillWish, connectionId: number): Message {
    return this.env.history.newMessage({
      kind: 'will',
      domain: `${this.name}/will/${connectionId}`,
      publisher: this.name,
      topic: wish.topic,
      qos: wish.qos,
      retain: false,
      deletion: false,
      expirySeconds: 0,
      sequence: 0,
      sentAtMs: this.nowMs,
    });
  }

  #leaveZombie(): void {
    const { connection } = this;
    const pipe = this.#pipe;
    const reader = this.#reader;
    if (pipe === undefined || reader === undefined || connection === undefined) return;
    const { history } = this.env;
    this.#zombie = new Zombie({ pipe, connection, history, reader, version: this.options.version });
    this.#pipe = undefined;
    this.#drop(true);
  }

  #onData(pipe: ClientPipe, reader: PacketReader, bytes: Uint8Array): void {
    if (this.#pipe !== pipe) {
      this.#zombie?.onData(pipe, bytes);
      return;
    }
    this.#lastHeardMs = this.nowMs;
    try {
      reader.feed(bytes, (packet) => {
        if (this.#pipe === pipe) this.#onPacket(packet);
      });
    } catch (error) {
      this.env.history.fail(
        'MQTT',
        `${this.name}: ${error instanceof Error ? error.message : error}`,
      );
      this.breakConnection(false);
    }
  }

  #onPacket(packet: ServerPacket): void {
    if (packet.type === 'connack') return this.#onConnack(packet);
    if (!this.connected) {
      this.env.history.fail('MQTT', `${this.name}: ${packet.type} before CONNACK [MQTT-3.2.0-1]`);
      return;
    }
    switch (packet.type) {
      case 'publish':
        this.inbox.onPublish(packet);
        this.#events.onDelivered?.();
        return;
      case 'pubrel':
        this.inbox.onPubrel(packet.packetId);
        return;
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        this.outbox.onAck(packet.type, packet.packetId, packet.reasonCode);
        return;
      case 'suback':
      case 'unsuback':
        this.#onRequestAnswered(packet);
        return;
      case 'disconnect':
        this.say(`DISCONNECT from broker, reason 0x${packet.reasonCode.toString(16)}`);
        return;
      default:
    }
  }

  #onConnack(packet: ServerPacket & { type: 'connack' }): void {
    const connection = this.connection;
    if (connection === undefined) return;
    this.say(`CONNACK ${packet.reasonCode}${packet.sessionPresent ? ' session present' : ''}`);
    if (this.connected) {
      this.env.history.fail('MQTT', `${this.name}: a second CONNACK`);
      return;
    }
    if (packet.reasonCode !== 0) {
      if (packet.sessionPresent) {
        this.env.history.fail('MQTT', `${this.name}: session present in a refusal [MQTT-3.2.2-6]`);
      }
      this.breakConnection(false);
      return;
    }
    this.#adoptSession(connection, packet.sessionPresent);
    connection.connackAtMs = this.nowMs;
    connection.session = this.session;
    this.connected = true;
    this.outbox.receiveMaximum = packet.receiveMaximum;
    this.inbox.connectionBegan();
    if (this.options.keepAliveSeconds > 0) this.#pingLater();
    this.outbox.resendAll();
    this.#zombie?.ask();
    this.#events.onConnected(packet.sessionPresent);
  }

  #adoptSession(connection: Connection, present: boolean): void {
    const { mayHaveExpired } = this.#expiry;
    const mustBePresent = !connection.cleanStart && this.#sessionKnown && !mayHaveExpired;
    const mayBePresent = !connection.cleanStart && this.session !== undefined;
    const expected = mustBePresent
      ? true
      : mayBePresent || !connection.cleanStart
        ? undefined
        : false;
    this.env.history.connack(connection, present, expected);
    this.#expiry.onConnack();
    if (!present || this.session === undefined) {
      this.#forgetSession();
      this.#generation++;
      this.session = this.env.history.newSession(
        this.name,
        this.#generation,
        // In 3.1.1, CleanSession 1 also ends the session with its connection [MQTT-3.1.2-6].
        connection.persistent && !(connection.cleanStart && this.options.version === 4),
        connection.sentAtMs,
      );
    }
    this.#mustClean = false;
    this.session.ackedAtMs ??= this.nowMs;
    this.#sessionKnown = this.session.persistent;
  }

  /** Clean Start, or the broker reports no session: the client's part of the state goes too. */
  #forgetSession(): void {
    if (this.session !== undefined) this.env.history.endSession(this.session);
    this.session = undefined;
    this.#sessionKnown = false;
    this.outbox.clear();
    this.inbox.clear();
  }

  #onRequestAnswered(packet: ServerPacket & { type: 'suback' | 'unsuback' }): void {
    const kind = packet.type === 'suback' ? 'subscribe' : 'unsubscribe';
    const at = this.#requests.findIndex((r) => r.packetId === packet.packetId && r.kind === kind);
    const request = this.#requests[at];
    if (request === undefined || this.session === undefined || this.connection === undefined) {
      this.env.history.fail('MQTT', `${this.name}: ${packet.type} ${packet.packetId} unasked`);
      return;
    }
    this.#requests.splice(at, 1);
    this.say(`${packet.type.toUpperCase()} ${packet.packetId} ${packet.reasonCodes.join(' ')}`);
    this.env.history.answered(this.connection, packet.type, request.sentAtMs);
    if (kind === 'unsubscribe') {
      for (const subscription of request.subscriptions) subscription.endAckedAtMs = this.nowMs;
      return;
    }
    if (packet.reasonCodes.length !== request.subscriptions.length) {
      this.env.history.fail('MQTT', `${this.name}: SUBACK of a wrong length [MQTT-3.8.4-6]`);
    }
    request.subscriptions.forEach((subscription, i) => {
      if ((packet.reasonCodes[i] ?? 0x80) >= 0x80) return;
      subscription.ackedAtMs = this.nowMs;
      subscription.ackedBy = this.connection!.node;
      this.env.history.subscribed(this.session!, subscription, this.connection!);
    });
    this.#events.onSubscribed?.(request.subscriptions.map((s) => s.filter));
  }

  /** The pipe broke under the client. */
  #onPipeClosed(pipe: ClientPipe): void {
    if (this.#pipe !== pipe) return;
    this.say('connection lost');
    this.#drop(true);
    this.#events.onClosed();
  }

  #drop(quiet: boolean): void {
    this.#pipe?.leave(quiet);
    this.#pipe = undefined;
    if (this.connection?.goneAtMs === undefined && this.connection) {
      this.connection.goneAtMs = this.nowMs;
      this.connection.told = !quiet;
    }
    const ends = this.connected && this.#expiry.endsWithConnection;
    this.#expiry.onLeft(this.connected);
    // An unanswered CONNECT may have found the session expired and made another: the next one would
    // find that and call it present. A careful client starts clean.
    if (!this.connected && this.#sessionKnown && this.#expiry.mayHaveExpired)
      this.#mustClean = true;
    this.connected = false;
    this.#requests = [];
    this.inbox.connectionEnded();
    if (this.#watchdog) this.env.scheduler.cancel(this.#watchdog);
    if (this.#pinger) this.env.scheduler.cancel(this.#pinger);
    this.#watchdog = undefined;
    this.#pinger = undefined;
    if (this.session?.persistent === false || ends) {
      this.#mustClean = ends;
      this.#forgetSession();
    }
  }

  /** Gives the connection up when an answer is owed and nothing was heard for long. */
  #watch(): void {
    if (this.#watchdog !== undefined) return;
    const startedMs = this.nowMs;
    this.#watchdog = this.env.scheduler.after(this.options.patienceMs, () => {
      this.#watchdog = undefined;
      const waiting = !this.connected || !this.idle;
      if (!waiting) return;
      if (this.#lastHeardMs > startedMs) return this.#watch();
      this.say('loses patience');
      this.breakConnection(this.env.random.chance(0.5));
    });
  }

  #pingLater(): void {
    const delayMs = this.options.keepAliveSeconds * 500;
    this.#pinger = this.env.scheduler.after(delayMs, () => {
      this.#pinger = undefined;
      if (!this.connected) return;
      this.#pipe?.send(PINGREQ);
      this.#pingLater();
    });
  }
}
