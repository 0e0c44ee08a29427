import { type ActorEnv, type ActorPhase, CALM_AFTER_MS } from './actors.ts';
import { payloadOf } from './client-port.ts';
import { type Connection, type Message, openedConnection } from './history.ts';
import type { ClientPipe } from './pipe.ts';
import {
  encodeConnect,
  encodeDisconnect,
  encodePublish,
  encodeSubscribe,
  PacketReader,
  type ProtocolVersion,
  type ServerPacket,
} from './wire.ts';

/** Mean time between two bursts of one client. */
const BURST_EVERY_MS = 500;
/** What a burst asked for is answered, or has counted, by then. */
const ANSWERED_MS = 3000;
/** Bursts on the healed cluster. */
const LAST_BURSTS = 3;
/** A client that leaves does so this long after its last byte at most. */
const LEAVES_MAX_MS = 6;
/** Between the end of one burst and the next. */
const REST_MS = 300;
const SUBSCRIBE_ID = 100;

/** What one burst still waits for. */
interface Burst {
  readonly pipe: ClientPipe;
  readonly connection: Connection;
  /** Messages without PUBACK, by Packet Identifier. */
  readonly waiting: Map<number, Message>;
  subscribing: boolean;
  over: boolean;
}

/**
 * Says all it has to say in one breath: CONNECT, SUBSCRIBE, PUBLISH, perhaps DISCONNECT, in segments cut
 * anywhere, before anything is answered; then waits for the answers, or is gone.
 *
 * In calm all of it counts: what stays is answered, what left with DISCONNECT is delivered.
 */
export class Burster {
  readonly name: string;
  readonly #env: ActorEnv;
  readonly #version: ProtocolVersion;
  readonly #topics: readonly string[];
  #phase: ActorPhase = 'setup';
  #under: Burst | undefined;
  #left = LAST_BURSTS;
  #sequence = 0;
  #unjudged = 0;

  constructor(
    env: ActorEnv,
    o: { clientId: string; version: ProtocolVersion; topics: readonly string[] },
  ) {
    this.#env = { ...env, client: { ...env.client, random: env.client.random.fork(o.clientId) } };
    this.name = o.clientId;
    this.#version = o.version;
    this.#topics = o.topics;
  }

  enter(phase: ActorPhase): void {
    this.#phase = phase;
    if (phase === 'drill') this.#later(this.#random.next() * BURST_EVERY_MS);
    if (phase === 'settle') this.#later(CALM_AFTER_MS);
  }

  unfinished(): string | undefined {
    if (this.#left > 0) return `${this.name} has ${this.#left} bursts to send`;
    return this.#unjudged > 0 ? `${this.name} waits for answers` : undefined;
  }

  get #random() {
    return this.#env.client.random;
  }

  get #nowMs(): number {
    return this.#env.client.scheduler.nowMs;
  }

  #later(delayMs: number): void {
    const phase = this.#phase;
    this.#env.client.scheduler.after(delayMs, () => {
      if (this.#phase !== phase) return;
      // One connection at a time: the Client Identifier is the same.
      if (this.#under === undefined || this.#under.over) this.#burst();
      if (phase === 'settle' && this.#left === 0) return;
      this.#later(
        phase === 'settle' ? ANSWERED_MS / 4 : BURST_EVERY_MS * (0.5 + this.#random.next()),
      );
    });
  }

  #burst(): void {
    const { client } = this.#env;
    const { history } = client;
    const node = this.#random.pick(this.#env.nodes());
    const id = client.nextConnectionId();
    const reader = new PacketReader(this.#version);
    const leaves = this.#random.chance(0.6);
    const says = leaves && this.#random.chance(0.7);
    const will = this.#random.chance(0.5)
      ? this.#message('will', `w/${this.name}`, 2, id)
      : undefined;
    const pipe = client.dial(node, `${this.name}#${id}`, {
      onData: (bytes) => this.#onData(burst, reader, bytes),
      onClosed: () => this.#onClosed(burst),
    });
    const connection = this.#connection(pipe, id, node, will);
    const burst: Burst = { pipe, connection, waiting: new Map(), subscribing: false, over: false };
    this.#under = burst;
    if (this.#phase === 'settle') this.#left--;
    const parts = [this.#connect(will)];
    if (!leaves && this.#random.chance(0.5)) {
      burst.subscribing = true;
      parts.push(encodeSubscribe(this.#version, SUBSCRIBE_ID, [{ filter: 'none', qos: 1 }]));
    }
    for (let packetId = this.#random.int(1, 4); packetId > 0; packetId--) {
      const message = this.#message('message', this.#random.pick(this.#topics), 1, id);
      burst.waiting.set(packetId, message);
      parts.push(this.#publish(message, packetId));
    }
    if (says) parts.push(encodeDisconnect(this.#version, 0));
    history.connectionOpened(connection);
    client.transcript.note(this.name, `${parts.length} packets to ${node} as #${id}`);
    pipe.dial();
    this.#send(pipe, parts);
    for (const message of burst.waiting.values()) history.messageSent(message);
    this.#unjudged++;
    if (leaves) this.#leaveLater(burst, says);
    else this.#judgeLater(() => this.#judge(burst));
  }

  #connect(will: Message | undefined): Uint8Array {
    return encodeConnect({
      version: this.#version,
      clientId: this.name,
      cleanStart: true,
      keepAliveSeconds: 0,
      sessionExpirySeconds: 0,
      receiveMaximum: 0,
      will:
        will === undefined
          ? undefined
          : { topic: will.topic, qos: 2, delaySeconds: 0, payload: payloadOf(will), retain: false },
    });
  }

  #publish(message: Message, packetId: number): Uint8Array {
    const padding = this.#random.pick([0, 0, 30, 300]);
    const payload = payloadOf(message, padding);
    const { topic } = message;
    const version = this.#version;
    return encodePublish({ version, topic, payload, qos: 1, dup: false, retain: false, packetId });
  }

  /** Cuts the bytes anywhere. */
  #send(pipe: ClientPipe, parts: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(parts);
    const cuts = Array.from({ length: this.#random.int(0, 4) }, () =>
      this.#random.int(1, bytes.length - 1),
    );
    const ends = [...cuts.sort((a, b) => a - b), bytes.length];
    let at = 0;
    for (const end of ends) {
      if (end > at) pipe.send(new Uint8Array(bytes.subarray(at, end)));
      at = end;
    }
  }

  #leaveLater(burst: Burst, says: boolean): void {
    const { scheduler, history } = this.#env.client;
    const { pipe, connection, waiting } = burst;
    if (says) connection.disconnectAtMs = this.#nowMs;
    const messages = [...waiting.values()];
    scheduler.after(this.#random.next() * LEAVES_MAX_MS, () => {
      const accepted = pipe.serverOpen;
      this.#end(burst);
      this.#judgeLater(() => {
        if (!says || !accepted || history.unrest(connection.sentAtMs, this.#nowMs)) return;
        // The client was not told, but its session was opened and its bytes were there: they count.
        for (const message of messages) history.messageAcked(message, burst.connection.node);
      });
    });
  }

  #judgeLater(judge: () => void): void {
    this.#env.client.scheduler.after(ANSWERED_MS, () => {
      this.#unjudged--;
      judge();
    });
  }

  #end(burst: Burst): void {
    burst.pipe.leave(false);
    burst.over = true;
    burst.connection.goneAtMs ??= this.#nowMs;
    burst.connection.told = true;
    for (const message of burst.waiting.values()) message.settled = true;
  }

  #onClosed(burst: Burst): void {
    burst.connection.goneAtMs ??= this.#nowMs;
  }

  #onData(burst: Burst, reader: PacketReader, bytes: Uint8Array): void {
    if (burst.over) return;
    try {
      reader.feed(bytes, (packet) => this.#onPacket(burst, packet));
    } catch (error) {
      this.#env.client.history.fail('MQTT', `${this.name}: ${error}`);
    }
  }

  #onPacket(burst: Burst, packet: ServerPacket): void {
    const { history } = this.#env.client;
    if (packet.type === 'connack' && packet.reasonCode === 0) {
      burst.connection.connackAtMs = this.#nowMs;
    } else if (packet.type === 'suback') burst.subscribing = false;
    else if (packet.type === 'puback') {
      const message = burst.waiting.get(packet.packetId);
      if (message === undefined) {
        history.fail('MQTT', `${this.name}: PUBACK ${packet.packetId} for nothing in flight`);
        return;
      }
      burst.waiting.delete(packet.packetId);
      if (packet.reasonCode >= 0x80) message.refused = true;
      else history.messageAcked(message, burst.connection.node);
    }
  }

  /** By now a calm broker has answered everything. */
  #judge(burst: Burst): void {
    const { history } = this.#env.client;
    const { connection, waiting } = burst;
    if (
      connection.connackAtMs !== undefined &&
      (waiting.size > 0 || burst.subscribing) &&
      !history.unrest(connection.sentAtMs, this.#nowMs)
    ) {
      history.fail(
        '1d early bytes count',
        `${this.name}: connection #${connection.id} at ${connection.node} has its CONNACK, and no ` +
          `answer to ${waiting.size} PUBLISH${burst.subscribing ? ' and SUBSCRIBE' : ''} of the same burst`,
      );
    }
    if (connection.connackAtMs !== undefined && connection.goneAtMs === undefined) {
      burst.pipe.send(encodeDisconnect(this.#version, 0));
      if (connection.serverOpen()) connection.disconnectAtMs = this.#nowMs;
    }
    burst.pipe.leave(false);
    // The next one is not at once elsewhere: that is another behaviour.
    this.#env.client.scheduler.after(REST_MS, () => this.#end(burst));
  }

  #message(kind: 'message' | 'will', topic: string, qos: number, id: number): Message {
    this.#sequence++;
    return this.#env.client.history.newMessage({
      kind,
      domain: `${this.name}/${id}/${kind}`,
      publisher: this.name,
      topic,
      qos,
      retain: false,
      deletion: false,
      expirySeconds: 0,
      sequence: this.#sequence,
      sentAtMs: this.#nowMs,
    });
  }

  #connection(pipe: ClientPipe, id: number, node: string, will: Message | undefined): Connection {
    const opened = {
      id,
      client: this.name,
      node,
      cleanStart: true,
      persistent: false,
      sentAtMs: this.#nowMs,
      will,
      willDelayMs: 0,
    };
    return openedConnection(opened, pipe);
  }
}
