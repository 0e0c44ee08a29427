/** Clients that connect, are answered, and go, over and over: what a connection costs, its handshakes included. */
import { setTimeout as delay } from 'node:timers/promises';
import { Latencies } from '../stats.ts';
import { type ConnectionListener, LoadConnection } from './connection.ts';
import type { ConnectsTask, Measurement } from './result.ts';
import { type LoadCounters, measure } from './window.ts';

const deaf: ConnectionListener = { onMessage() {}, onPublished() {}, onLost() {} };

/** A connection counts as a message: published when it begins, delivered when its CONNACK has come. */
class Connects implements LoadCounters {
  published = 0;
  delivered = 0;
  readonly missing = 0;
  readonly latency = new Latencies();
  #ends = false;
  readonly #task: ConnectsTask;

  constructor(task: ConnectsTask) {
    this.#task = task;
  }

  async lane(lane: number): Promise<void> {
    const { host, port, transport } = this.#task;
    const to = { host, port, transport, clientId: `bench-${lane}`, cleanSession: true };
    while (!this.#ends) {
      const startMs = performance.now();
      this.published++;
      const connection = await LoadConnection.open(lane, to, deaf);
      this.delivered++;
      this.latency.record((performance.now() - startMs) * 1000);
      await connection.close();
    }
  }

  end(): void {
    this.#ends = true;
  }
}

export async function runConnects(task: ConnectsTask): Promise<Measurement> {
  const connects = new Connects(task);
  const lanes = Promise.all(Array.from({ length: task.lanes }, (_, i) => connects.lane(i)));
  const wait = (seconds: number) => Promise.race([delay(seconds * 1000), lanes.then(() => {})]);
  await wait(task.warmUpSeconds);
  const measurement = await measure('connects', task.brokerPid, connects, () => wait(task.seconds));
  connects.end();
  await lanes;
  return measurement;
}
