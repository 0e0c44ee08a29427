/**
 * Messages of QoS 1 for sessions whose clients are away, then the clients' return: what it costs to
 * queue and to drain.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Prng } from '@shoal/swim/sim';
import { Latencies } from '../stats.ts';
import { type PublishTemplate, publishTemplate } from './codec.ts';
import { type ConnectionListener, LoadConnection, openMany } from './connection.ts';
import type { Measurement, OfflineTask } from './result.ts';
import { type LoadCounters, measure } from './window.ts';

const CONNECT_CONCURRENCY = 50;
/** Without progress for this long, what is missing is given up. */
const GIVE_UP_MS = 10_000;

class Offline implements ConnectionListener, LoadCounters {
  published = 0;
  delivered = 0;
  missing = 0;
  acked = 0;
  readonly latency = new Latencies();
  readonly #task: OfflineTask;
  #templates: PublishTemplate[] = [];
  #remaining: number[] = [];
  /** Per publisher: acknowledged in this turn, not yet replaced by new messages. */
  readonly #due: number[] = [];
  #done: (() => void) | null = null;

  constructor(task: OfflineTask) {
    this.#task = task;
  }

  async createSessions(): Promise<void> {
    const { sessions } = this.#task;
    const connections = await openMany(sessions, CONNECT_CONCURRENCY, async (index) => {
      const connection = await this.#connect(`bench-away-${index}`, false, index);
      await connection.subscribe(`bench/${index}`, 1);
      return connection;
    });
    await Promise.all(connections.map((connection) => connection.close()));
  }

  async enqueue(): Promise<Measurement> {
    const { sessions, messages, inFlight, payloadBytes, seed, brokerPid } = this.#task;
    const random = new Prng(seed);
    const payload = Buffer.from(Array.from({ length: payloadBytes }, () => random.int(0, 255)));
    const each = Math.floor(messages / sessions);
    const publishers = await openMany(sessions, CONNECT_CONCURRENCY, (index) =>
      this.#connect(`bench-pub-${index}`, true, index),
    );
    this.#templates = publishers.map((_, index) => publishTemplate(`bench/${index}`, 1, payload));
    this.#remaining = publishers.map(() => each);
    const measurement = await measure('enqueue', brokerPid, this, async () => {
      for (const publisher of publishers) this.#publish(publisher, inFlight);
      await this.#until(() => this.acked, each * sessions);
    });
    for (const publisher of publishers) publisher.destroy();
    // "Delivered" of this window are the acknowledged ones: the session took them over.
    return { ...measurement, delivered: this.acked, missing: each * sessions - this.acked };
  }

  async drain(): Promise<Measurement> {
    const { sessions, brokerPid } = this.#task;
    const total = this.acked;
    this.latency.reset();
    const measurement = await measure('drain', brokerPid, this, async () => {
      const returning = openMany(sessions, CONNECT_CONCURRENCY, (index) =>
        this.#connect(`bench-away-${index}`, false, index),
      );
      await this.#until(() => this.delivered, total);
      await returning;
    });
    return {
      ...measurement,
      missing: total - this.delivered,
      latencyP50Us: null, // the age of a queued message is no latency of the broker
      latencyP99Us: null,
      latencyMaxUs: null,
    };
  }

  onMessage(): void {
    this.delivered++;
    this.#done?.();
  }

  onPublished(connection: LoadConnection): void {
    this.acked++;
    const due = this.#due[connection.index] ?? 0;
    this.#due[connection.index] = due + 1;
    if (due === 0) process.nextTick(() => this.#publishDue(connection));
    this.#done?.();
  }

  onLost(): void {
    // Shows up as missing messages.
  }

  #connect(clientId: string, cleanSession: boolean, index: number): Promise<LoadConnection> {
    const { host, port, transport } = this.#task;
    return LoadConnection.open(index, { host, port, transport, clientId, cleanSession }, this);
  }

  /** As many as were acknowledged in this turn. */
  #publishDue(publisher: LoadConnection): void {
    const due = this.#due[publisher.index] ?? 0;
    this.#due[publisher.index] = 0;
    this.#publish(publisher, due);
  }

  /** Sends the publisher's next messages, at most `count`, in one write. */
  #publish(publisher: LoadConnection, count: number): void {
    const left = this.#remaining[publisher.index] as number;
    const now = Math.min(left, count);
    if (now === 0) return;
    this.#remaining[publisher.index] = left - now;
    const template = this.#templates[publisher.index] as PublishTemplate;
    const bytes = Buffer.concat(Array.from({ length: now }, () => template.bytes));
    for (let at = 0; at < bytes.length; at += template.bytes.length) {
      bytes.writeUInt16BE(publisher.takePacketId(), at + template.packetIdAt);
      bytes.writeDoubleLE(performance.now(), at + template.payloadAt);
    }
    this.published += now;
    publisher.write(bytes);
  }

  /** Resolves when `count` has reached `total`, or has not grown for {@link GIVE_UP_MS}. */
  #until(count: () => number, total: number): Promise<void> {
    return new Promise((resolve) => {
      let last = count();
      const finish = () => {
        clearInterval(watch);
        this.#done = null;
        resolve();
      };
      const watch = setInterval(() => {
        if (count() === last) finish();
        last = count();
      }, GIVE_UP_MS);
      this.#done = () => {
        if (count() >= total) finish();
      };
      this.#done();
    });
  }
}

/** Runs the whole task: sessions, queueing, return. */
export async function runOffline(task: OfflineTask): Promise<Measurement[]> {
  const offline = new Offline(task);
  await offline.createSessions();
  const enqueue = await offline.enqueue();
  await delay(500); // lets the broker finish what it does after the last acknowledgement
  return [enqueue, await offline.drain()];
}
