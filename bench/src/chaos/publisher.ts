import type { Prng } from '@shoal/swim/sim';
import { ChaosClient } from './client.ts';
import type { History, MessageId } from './history.ts';
import { type LeaveHow, Roamer } from './roamer.ts';
import type { Endpoint } from './wire.ts';

export interface PublisherOptions {
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly history: History;
  readonly random: Prng;
  readonly endpoints: () => readonly Endpoint[];
  readonly topics: readonly string[];
  /** Messages a second, QoS 1 and 2 mixed, in bursts of 1 to 20. */
  readonly rate: number;
}

/** Messages that may be unacknowledged at once. */
const WINDOW = 200;
/** A connection that acknowledges nothing for this long is given up, and counted. */
const STALL_MS = 20_000;
/** It stays at one node for a time between these, if it can; then it leaves with writes under way. */
const HOP_MS_MIN = 3_000;
const HOP_MS_MAX = 15_000;

/** Publishes at a steady rate over a persistent session, from whatever node it is connected to. */
export class Publisher {
  readonly client: ChaosClient;
  readonly roamer: Roamer;
  readonly #options: PublisherOptions;
  /** Next number per topic and QoS. */
  readonly #next = new Map<string, number>();
  #owed = 0;
  #burst = 1;
  #lastTickMs: number | undefined;
  #lastProgressMs = 0;
  #paused = false;
  #nextHopMs: number;
  /** How often it left a node that served it. */
  hops = 0;
  /** Connections given up because nothing was acknowledged. */
  stalls = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#nextHopMs = performance.now() + options.random.between(HOP_MS_MIN, HOP_MS_MAX);
    const { clientId, version, history, random } = options;
    this.client = new ChaosClient({ clientId, version, history, random: () => random.next() });
    this.client.onAcked = () => {
      this.#lastProgressMs = performance.now();
    };
    this.roamer = new Roamer({
      client: this.client,
      random,
      endpoints: options.endpoints,
      onConnected: () => {
        this.#lastProgressMs = performance.now();
      },
    });
  }

  start(): void {
    this.roamer.start();
  }

  /** No new messages; what was sent is still brought to its end. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lastTickMs = undefined;
  }

  /** Publishes what the rate has come to owe. Call it every few milliseconds. */
  tick(nowMs: number): void {
    const elapsedMs = this.#lastTickMs === undefined ? 0 : nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    this.#watchForStall(nowMs);
    if (this.#paused) return;
    if (nowMs > this.#nextHopMs && this.client.connected) this.#hop(nowMs);
    // What could not be sent during an outage is not made up for: at most one second is owed.
    const owed = this.#owed + (elapsedMs * this.#options.rate) / 1_000;
    this.#owed = Math.min(owed, Math.max(20, this.#options.rate));
    if (this.#owed < this.#burst) return;
    while (this.#owed >= 1 && this.#mayPublish()) {
      this.#owed--;
      this.client.publish(this.#message());
    }
    this.#burst = this.#options.random.int(1, 20);
  }

  /** Whether everything sent has been acknowledged and released. */
  get settled(): boolean {
    return this.client.state.outstanding === 0;
  }

  #hop(nowMs: number): void {
    const { random } = this.#options;
    this.#nextHopMs = nowMs + random.between(HOP_MS_MIN, HOP_MS_MAX);
    this.hops++;
    void this.roamer.hop(random.pick<LeaveHow>(['graceful', 'abrupt', 'reset', 'abandon']), 0);
  }

  #mayPublish(): boolean {
    return this.client.room > 0 && this.client.state.outstanding < WINDOW;
  }

  #message(): MessageId {
    const { random, topics, clientId } = this.#options;
    const topic = random.pick(topics);
    const qos = random.chance(0.5) ? 1 : 2;
    const lane = `${topic}|${qos}`;
    const seq = this.#next.get(lane) ?? 0;
    this.#next.set(lane, seq + 1);
    return { publisher: clientId, topic, qos, seq };
  }

  #watchForStall(nowMs: number): void {
    if (!this.client.connected || this.settled) {
      this.#lastProgressMs = nowMs;
    } else if (nowMs - this.#lastProgressMs > STALL_MS) {
      this.stalls++;
      this.#lastProgressMs = nowMs;
      this.#options.history.append({
        type: 'note',
        text: `${this.client.clientId}: nothing acknowledged for ${STALL_MS} ms by ${this.client.node}`,
      });
      void this.roamer.hop('abrupt', 0);
    }
  }
}
