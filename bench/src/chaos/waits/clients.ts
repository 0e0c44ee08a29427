/** Clients that stay at one node whatever happens to it, and publish one message at a time. */
import type { Prng } from '@shoal/swim/sim';
import { ChaosClient } from '../client.ts';
import type { History } from '../history.ts';
import { Roamer } from '../roamer.ts';
import type { Endpoint } from '../wire.ts';

export interface StayingOptions {
  readonly clientId: string;
  readonly endpoint: Endpoint;
  readonly history: History;
  readonly random: Prng;
  /** Its session outlives its connections. */
  readonly persistent: boolean;
}

/** Longer than a round takes; the sessions of earlier rounds go by themselves. */
const SESSION_EXPIRY_S = 600;

function staying(options: StayingOptions, onConnected: () => void | Promise<void>): Roamer {
  const { clientId, endpoint, history, random, persistent } = options;
  const client = new ChaosClient({
    clientId,
    version: 5,
    history,
    random: () => random.next(),
    sessionExpiryInterval: persistent ? SESSION_EXPIRY_S : 0,
  });
  return new Roamer({
    client,
    random,
    endpoints: () => [endpoint],
    cleanStart: !persistent,
    onConnected,
  });
}

/** Subscribes again after each connection that found no session. */
export class StayingSubscriber {
  readonly roamer: Roamer;
  readonly #filter: string;
  readonly #ready = Promise.withResolvers<void>();

  constructor(filter: string, options: StayingOptions) {
    this.#filter = filter;
    this.roamer = staying(options, () => this.#onConnected());
  }

  /** Resolves once it is subscribed. */
  start(): Promise<void> {
    this.roamer.start();
    return this.#ready.promise;
  }

  async #onConnected(): Promise<void> {
    // To subscribe again to what a session has is harmless, and a lost one shows all the same.
    if ((await this.roamer.client.subscribe(this.#filter, 2)) !== undefined) this.#ready.resolve();
  }
}

/** Pause between an acknowledgement and the next publish. */
const PAUSE_MS = 100;

/** Publishes one message, and the next a little after it was acknowledged, and for QoS 2 completed. */
export class OneByOne {
  readonly roamer: Roamer;
  readonly #topic: string;
  readonly #qos: 1 | 2;
  readonly #ready = Promise.withResolvers<void>();
  #seq = 0;
  #publishing = false;
  #nextMs = 0;

  constructor(topic: string, qos: 1 | 2, options: StayingOptions) {
    this.#topic = topic;
    this.#qos = qos;
    this.roamer = staying(options, () => this.#ready.resolve());
  }

  /** Resolves once it is connected. */
  start(): Promise<void> {
    this.roamer.start();
    return this.#ready.promise;
  }

  begin(): void {
    this.#publishing = true;
  }

  /** No new message. */
  pause(): void {
    this.#publishing = false;
  }

  /** Whether all that was sent has been acknowledged, and completed. */
  get settled(): boolean {
    return this.roamer.client.state.outstanding === 0;
  }

  /** Call it every few milliseconds. */
  tick(nowMs: number): void {
    const { client } = this.roamer;
    if (!this.settled) this.#nextMs = nowMs + PAUSE_MS;
    if (!this.#publishing || !client.connected || nowMs < this.#nextMs) return;
    const message = { publisher: client.clientId, topic: this.#topic, qos: this.#qos };
    client.publish({ ...message, seq: this.#seq++ });
  }
}
