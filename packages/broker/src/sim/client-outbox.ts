import { REPEAT_CHANCE, REPEAT_MAX_MS } from './client-inbox.ts';
import { type ClientCore, payloadOf } from './client-port.ts';
import type { Message } from './history.ts';
import { encodeAck, encodePublish } from './wire.ts';

/** A QoS 1 or 2 message whose exchange is not over. */
interface OpenPublish {
  readonly message: Message;
  readonly packetId: number;
  readonly payload: string;
  stage: 'publish' | 'pubrel';
  /** When the packet of this stage last left. */
  sentAtMs: number;
}

/** What a client publishes, until each exchange is over; survives connections. */
export class ClientOutbox {
  /** The broker's Receive Maximum for this connection. */
  receiveMaximum = 65_535;
  readonly #client: ClientCore;
  /** In the order of the first PUBLISH. */
  #outgoing = new Map<number, OpenPublish>();
  readonly #sequences = new Map<string, number>();
  #nextPacketId = 1;
  /** Packet Identifiers of what was sent twice on one connection; none is used again in a run. */
  readonly #repeated = new Set<number>();

  constructor(client: ClientCore) {
    this.#client = client;
  }

  get size(): number {
    return this.#outgoing.size;
  }

  /** Publishes now; the client must be connected. False if Receive Maximum forbids it. */
  publish(o: {
    topic: string;
    qos: number;
    retain: boolean;
    deletion: boolean;
    padding: number;
    expirySeconds?: number;
  }): boolean {
    const client = this.#client;
    if (!client.connected) return false;
    if (o.qos > 0 && this.#outgoing.size >= this.receiveMaximum) return false;
    const domain = client.domain(o.qos);
    const stream = `${domain} ${o.topic} ${o.qos}`;
    const sequence = (this.#sequences.get(stream) ?? 0) + 1;
    this.#sequences.set(stream, sequence);
    const message = client.env.history.newMessage({
      kind: 'message',
      domain,
      publisher: client.name,
      topic: o.topic,
      qos: o.qos,
      retain: o.retain,
      deletion: o.deletion,
      expirySeconds: client.options.version === 5 ? (o.expirySeconds ?? 0) : 0,
      sequence,
      sentAtMs: client.nowMs,
    });
    const payload = o.deletion ? '' : payloadOf(message, o.padding);
    const packetId = o.qos === 0 ? 0 : this.takePacketId();
    const outgoing: OpenPublish = { message, packetId, payload, stage: 'publish', sentAtMs: 0 };
    if (o.qos === 0) message.settled = true;
    else this.#outgoing.set(packetId, outgoing);
    this.#send(outgoing, false);
    if (o.qos === 2 && client.options.repeats === true && client.env.random.chance(REPEAT_CHANCE))
      this.#repeat(outgoing);
    return true;
  }

  /** PUBLISH once more on this connection, if PUBREC has not come by then. */
  #repeat(outgoing: OpenPublish): void {
    const { connection, env } = this.#client;
    env.scheduler.after(env.random.next() * REPEAT_MAX_MS, () => {
      if (!this.#client.connected || this.#client.connection !== connection) return;
      if (this.#outgoing.get(outgoing.packetId) !== outgoing || outgoing.stage !== 'publish')
        return;
      this.#repeated.add(outgoing.packetId);
      this.#send(outgoing, true);
    });
  }

  /** After CONNACK with session present: everything unfinished, in order [MQTT-4.4.0-1]. */
  resendAll(): void {
    for (const outgoing of this.#outgoing.values()) this.#send(outgoing, true);
  }

  onAck(type: 'puback' | 'pubrec' | 'pubcomp', packetId: number, reasonCode: number): void {
    const outgoing = this.#outgoing.get(packetId);
    const qos = type === 'puback' ? 1 : 2;
    // The second answer to what was sent twice.
    const again = type === 'pubrec' && this.#repeated.has(packetId);
    if (again && (outgoing === undefined || outgoing.stage === 'pubrel')) return;
    if (outgoing === undefined || outgoing.message.qos !== qos) {
      this.#client.env.history.fail(
        'MQTT',
        `${this.#client.name}: ${type} ${packetId} for nothing in flight`,
      );
      return;
    }
    const { message } = outgoing;
    const reason = reasonCode === 0 ? '' : ` reason 0x${reasonCode.toString(16)}`;
    this.#client.say(`${type.toUpperCase()} ${packetId} for #${message.id}${reason}`);
    if (type === 'pubcomp') {
      if (outgoing.stage === 'publish') {
        this.#client.env.history.fail(
          'MQTT',
          `${this.#client.name}: PUBCOMP ${packetId} before PUBREC`,
        );
      }
      this.#finish(outgoing);
      this.#client.onCompleted?.();
      return;
    }
    if (reasonCode >= 0x80) {
      message.refused = true;
      this.#finish(outgoing);
      return;
    }
    const { connection } = this.#client;
    if (type === 'pubrec' && connection !== undefined) {
      this.#client.env.history.answered(connection, 'pubrec', outgoing.sentAtMs);
    }
    this.#client.env.history.messageAcked(message, connection?.node ?? '');
    if (type === 'puback') {
      this.#finish(outgoing);
      return;
    }
    outgoing.stage = 'pubrel';
    this.#send(outgoing, false);
  }

  /** The session was given up: nothing here will be sent again. */
  clear(): void {
    for (const { message } of this.#outgoing.values()) message.settled = true;
    this.#outgoing.clear();
  }

  takePacketId(): number {
    // The one whose exchange has just ended is as good as any other.
    if (this.#client.options.reuseId === true) this.#nextPacketId = 1;
    for (;;) {
      const packetId = this.#nextPacketId;
      this.#nextPacketId = (packetId % 65_535) + 1;
      if (!this.#outgoing.has(packetId) && !this.#client.requesting(packetId)) return packetId;
    }
  }

  #finish(outgoing: OpenPublish): void {
    outgoing.message.settled = true;
    this.#outgoing.delete(outgoing.packetId);
  }

  #send(outgoing: OpenPublish, again: boolean): void {
    const client = this.#client;
    const { message, packetId } = outgoing;
    outgoing.sentAtMs = client.nowMs;
    if (outgoing.stage === 'pubrel') {
      client.say(`PUBREL ${packetId} for #${message.id}`);
      client.send(encodeAck('pubrel', packetId));
      return;
    }
    const dup = again ? ' again' : '';
    const retain = message.retain ? (message.deletion ? ' retain, deletes' : ' retain') : '';
    client.say(
      `PUBLISH #${message.id} ${message.topic} QoS ${message.qos} id ${packetId}${retain}${dup}`,
    );
    client.env.history.messageSent(message);
    client.send(
      encodePublish({
        version: client.options.version,
        topic: message.topic,
        payload: outgoing.payload,
        qos: message.qos,
        dup: again,
        retain: message.retain,
        packetId,
        expirySeconds: message.expirySeconds,
      }),
    );
  }
}
