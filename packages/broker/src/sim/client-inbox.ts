import type { ClientCore } from './client-port.ts';
import type { Delivery } from './history.ts';
import { encodeAck, type ServerPacket } from './wire.ts';

/** An acknowledgement that waits for its turn. */
interface PendingAck {
  readonly type: 'puback' | 'pubrec' | 'pubcomp';
  readonly packetId: number;
  readonly dueMs: number;
}

/** A client that repeats does so this often, and this soon. */
export const REPEAT_CHANCE = 0.2;
export const REPEAT_MAX_MS = 20;

/** What a client receives, and the acknowledgements it owes; survives connections. */
export class ClientInbox {
  /** Acknowledges at once, as when the drill is over. */
  prompt = false;
  readonly #client: ClientCore;
  /** QoS 2 exchanges open at the receiver: identifier → message. */
  readonly #receiving = new Map<number, number | undefined>();
  #acks: PendingAck[] = [];
  #scheduled = false;
  #epoch = 0;

  constructor(client: ClientCore) {
    this.#client = client;
  }

  /** QoS 2 messages received without a PUBREL yet. */
  get open(): number {
    return this.#receiving.size + this.#acks.length;
  }

  onPublish(packet: ServerPacket & { type: 'publish' }): void {
    const client = this.#client;
    const { connection, session } = client;
    if (connection === undefined || session === undefined) return;
    const message = this.#recognise(packet);
    const delivery: Delivery = {
      connection,
      session,
      message,
      topic: packet.topic,
      qos: packet.qos,
      retain: packet.retain,
      dup: packet.dup,
      packetId: packet.packetId,
      identifiers: packet.identifiers,
      atMs: client.nowMs,
    };
    const flags = `${packet.dup ? ' dup' : ''}${packet.retain ? ' retained' : ''}`;
    client.say(
      `gets #${message?.id ?? '-'} ${packet.topic} QoS ${packet.qos} id ${packet.packetId}${flags}`,
    );
    client.env.history.arrived(delivery);
    if (packet.qos === 2) {
      // Method A of figure 4.3: given to the application at once, remembered until PUBREL.
      if (!this.#receiving.has(packet.packetId)) {
        this.#receiving.set(packet.packetId, message?.id);
        client.env.history.delivered(delivery);
      } else if (this.#receiving.get(packet.packetId) !== message?.id) {
        client.env.history.fail(
          '5 packet identifiers',
          `${client.name}: #${message?.id} arrived under identifier ${packet.packetId}, whose ` +
            `exchange for #${this.#receiving.get(packet.packetId)} is not over: lost as a duplicate`,
        );
      }
      this.#acknowledge('pubrec', packet.packetId);
      if (client.options.repeats === true && client.env.random.chance(REPEAT_CHANCE))
        this.#repeat(packet.packetId);
      return;
    }
    client.env.history.delivered(delivery);
    if (packet.qos === 1) this.#acknowledge('puback', packet.packetId);
  }

  onPubrel(packetId: number): void {
    this.#receiving.delete(packetId);
    this.#acknowledge('pubcomp', packetId);
  }

  /** PUBREC once more on this connection, if PUBREL has not come by then. */
  #repeat(packetId: number): void {
    const epoch = this.#epoch;
    const client = this.#client;
    client.env.scheduler.after(client.env.random.next() * REPEAT_MAX_MS, () => {
      const waits = this.#acks.some((ack) => ack.packetId === packetId);
      if (this.#epoch !== epoch || waits || !this.#receiving.has(packetId)) return;
      client.say(`PUBREC ${packetId} again`);
      client.send(encodeAck('pubrec', packetId));
    });
  }

  connectionBegan(): void {
    this.#epoch++;
  }

  /** Acknowledgements not sent are not owed any more: the broker sends again what needs one. */
  connectionEnded(): void {
    this.#acks = [];
    this.#epoch++;
    this.#scheduled = false;
  }

  clear(): void {
    this.#receiving.clear();
    this.#acks = [];
  }

  #recognise(packet: ServerPacket & { type: 'publish' }) {
    if (packet.payload === '') return undefined;
    const { history } = this.#client.env;
    const id = Number(/^#(\d+) \.*$/.exec(packet.payload)?.[1] ?? Number.NaN);
    const message = history.messages[id];
    if (message === undefined || message.topic !== packet.topic || message.deletion) {
      history.fail('MQTT', `${this.#client.name}: an unknown message on ${packet.topic}`);
      return undefined;
    }
    return message;
  }

  #acknowledge(type: PendingAck['type'], packetId: number): void {
    const { random, scheduler } = this.#client.env;
    const delayMs = this.prompt ? 0 : random.next() ** 2 * this.#client.options.ackDelayMs;
    this.#acks.push({ type, packetId, dueMs: scheduler.nowMs + delayMs });
    this.#next();
  }

  /** Sends the first acknowledgement when it is due: they keep the order of arrival [MQTT-4.6.0-2]. */
  #next(): void {
    if (this.#scheduled) return;
    const first = this.#acks[0];
    if (first === undefined) return;
    this.#scheduled = true;
    const epoch = this.#epoch;
    this.#client.env.scheduler.at(first.dueMs, () => {
      if (this.#epoch !== epoch) return;
      this.#scheduled = false;
      const nowMs = this.#client.nowMs;
      while (this.#acks[0] !== undefined && this.#acks[0].dueMs <= nowMs) {
        const ack = this.#acks.shift()!;
        this.#client.say(`${ack.type.toUpperCase()} ${ack.packetId}`);
        this.#client.send(encodeAck(ack.type, ack.packetId));
      }
      this.#next();
    });
  }
}
