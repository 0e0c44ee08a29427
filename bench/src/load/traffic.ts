/**
 * Groups of one publisher and one or many subscribers, in a closed loop or at a fixed rate.
 *
 * Closed loop: a group's next burst leaves when its last one has arrived everywhere (and, above
 * QoS 0, is acknowledged), so at most `burst` messages of a group are under way and a slow broker
 * slows the load down: this measures throughput and CPU. Fixed rate: publishes leave when they are
 * due, whatever comes back: this measures latency.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Prng } from '@shoal/swim/sim';
import { Latencies } from '../stats.ts';
import { type PublishTemplate, publishTemplate } from './codec.ts';
import { type ConnectionListener, LoadConnection, openMany } from './connection.ts';
import type { Measurement, TrafficTask, TrafficWindow } from './result.ts';
import { type LoadCounters, measure } from './window.ts';

const CONNECT_CONCURRENCY = 50;
/** A group of QoS 0 that made no progress for this long has lost its messages: it starts anew. */
const STALL_MS = 1_000;
/** Longest wait for what is still under way after a window. */
const DRAIN_MAX_MS = 3_000;
/** A generator that was late by more than this skips the messages that it could not send. */
const PACED_BACKLOG_MAX_MS = 500;

class Group {
  readonly publisher: LoadConnection;
  readonly template: PublishTemplate;
  burst: Buffer;
  /** Deliveries and acknowledgements that the last burst still lacks. */
  deliveriesDue = 0;
  acksDue = 0;
  progressMs = 0;

  constructor(publisher: LoadConnection, template: PublishTemplate) {
    this.publisher = publisher;
    this.template = template;
    this.burst = Buffer.from(template.bytes);
  }
}

export class Traffic implements ConnectionListener, LoadCounters {
  published = 0;
  delivered = 0;
  missing = 0;
  lostConnections = 0;
  readonly latency = new Latencies();
  readonly #task: TrafficTask;
  readonly #groups: Group[] = [];
  #connections: LoadConnection[] = [];
  #burst = 0;
  #closedLoop = false;

  constructor(task: TrafficTask) {
    this.#task = task;
  }

  /** Connects everybody and subscribes. */
  async open(): Promise<void> {
    const { host, port, transport, groups, subscribers, qos, payloadBytes, seed } = this.#task;
    const random = new Prng(seed);
    const payload = Buffer.from(Array.from({ length: payloadBytes }, () => random.int(0, 255)));
    const address = (index: number) => `127.1.${1 + Math.floor(index / 5_000)}.1`;
    const subscribing = await openMany(groups * subscribers, CONNECT_CONCURRENCY, async (index) => {
      const group = Math.floor(index / subscribers);
      const clientId = `bench-sub-${index}`;
      const connection = await LoadConnection.open(
        group,
        { host, port, transport, clientId, cleanSession: true, localAddress: address(index) },
        this,
      );
      await connection.subscribe(`bench/${group}`, qos);
      return connection;
    });
    const publishing = await openMany(groups, CONNECT_CONCURRENCY, (group) =>
      LoadConnection.open(
        group,
        { host, port, transport, clientId: `bench-pub-${group}`, cleanSession: true },
        this,
      ),
    );
    this.#connections = [...subscribing, ...publishing];
    publishing.forEach((publisher, group) => {
      const template = publishTemplate(`bench/${group}`, qos, payload);
      this.#groups.push(new Group(publisher, template));
    });
  }

  async warmUp(seconds: number): Promise<void> {
    if (seconds <= 0) return;
    this.#startClosed(1);
    await this.#runClosed(seconds / 2);
    this.#startClosed(10);
    await this.#runClosed(seconds / 2);
    await this.#drain();
  }

  async window(window: TrafficWindow): Promise<Measurement> {
    const run = () =>
      window.mode === 'closed'
        ? this.#runClosed(window.seconds)
        : this.#runPaced(window.publishesPerSecond, window.seconds);
    if (window.mode === 'closed') this.#startClosed(window.burst);
    const measurement = await measure(window.name, this.#task.brokerPid, this, run);
    const missing = this.missing;
    await this.#drain();
    return { ...measurement, missing: measurement.missing + this.missing - missing };
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
  }

  onMessage(connection: LoadConnection, bytes: Buffer, payloadAt: number, _end: number): void {
    const nowMs = performance.now();
    this.delivered++;
    this.latency.record((nowMs - bytes.readDoubleLE(payloadAt)) * 1000);
    const group = this.#groups[connection.index] as Group;
    group.deliveriesDue--;
    if (group.deliveriesDue <= 0) this.#advance(group, nowMs);
  }

  onPublished(connection: LoadConnection): void {
    const group = this.#groups[connection.index] as Group;
    group.acksDue--;
    if (group.acksDue <= 0) this.#advance(group, performance.now());
  }

  onLost(_connection: LoadConnection): void {
    this.lostConnections++;
  }

  #advance(group: Group, nowMs: number): void {
    if (!this.#closedLoop || group.deliveriesDue > 0 || group.acksDue > 0) return;
    this.#send(group, this.#burst, nowMs);
  }

  #startClosed(burst: number): void {
    this.#burst = burst;
    this.#closedLoop = true;
    const nowMs = performance.now();
    for (const group of this.#groups) {
      group.deliveriesDue = 0;
      group.acksDue = 0;
      this.#send(group, burst, nowMs);
    }
  }

  async #runClosed(seconds: number): Promise<void> {
    const watch = setInterval(() => this.#restartStalled(), STALL_MS / 2);
    await delay(seconds * 1000);
    clearInterval(watch);
  }

  /** A lost QoS 0 message is allowed, but would stop its group for good. */
  #restartStalled(): void {
    const nowMs = performance.now();
    for (const group of this.#groups) {
      if (this.#task.qos !== 0 || nowMs - group.progressMs < STALL_MS) continue;
      this.missing += group.deliveriesDue;
      group.deliveriesDue = 0;
      this.#send(group, this.#burst, nowMs);
    }
  }

  async #runPaced(publishesPerSecond: number, seconds: number): Promise<void> {
    const startMs = performance.now();
    let due = 0;
    let sent = 0;
    let next = 0;
    await new Promise<void>((resolve) => {
      const tick = () => {
        const elapsedMs = Math.min(performance.now() - startMs, seconds * 1000);
        due = Math.floor((elapsedMs / 1000) * publishesPerSecond);
        const backlogMax = Math.ceil((PACED_BACKLOG_MAX_MS / 1000) * publishesPerSecond);
        sent = Math.max(sent, due - backlogMax);
        while (sent < due) {
          this.#send(this.#groups[next] as Group, 1, performance.now());
          next = (next + 1) % this.#groups.length;
          sent++;
        }
        if (elapsedMs === seconds * 1000) {
          resolve();
          return;
        }
        setTimeout(tick, 1);
      };
      tick();
    });
  }

  async #drain(): Promise<void> {
    this.#closedLoop = false;
    const giveUpMs = performance.now() + DRAIN_MAX_MS;
    const open = () => this.#groups.some((g) => g.deliveriesDue > 0 || g.acksDue > 0);
    while (open() && performance.now() < giveUpMs) await delay(5);
    for (const group of this.#groups) {
      this.missing += Math.max(0, group.deliveriesDue);
      group.deliveriesDue = 0;
      group.acksDue = 0;
    }
  }

  /** Sends `count` messages of a group in one write. */
  #send(group: Group, count: number, nowMs: number): void {
    const { bytes, packetIdAt, payloadAt } = group.template;
    if (group.burst.length !== count * bytes.length) {
      group.burst = Buffer.concat(Array.from({ length: count }, () => bytes));
    }
    for (let at = 0; at < group.burst.length; at += bytes.length) {
      group.burst.writeDoubleLE(nowMs, at + payloadAt);
      if (packetIdAt >= 0)
        group.burst.writeUInt16BE(group.publisher.takePacketId(), at + packetIdAt);
    }
    group.deliveriesDue += count * this.#task.subscribers;
    if (packetIdAt >= 0) group.acksDue += count;
    group.progressMs = nowMs;
    this.published += count;
    // Not taken whole by the kernel: the socket still refers to these bytes, so leave them to it.
    if (!group.publisher.write(group.burst)) group.burst = Buffer.alloc(0);
  }
}

/** Runs the whole task: connect, warm up, each window in order. */
export async function runTraffic(task: TrafficTask): Promise<Measurement[]> {
  const traffic = new Traffic(task);
  await traffic.open();
  await traffic.warmUp(task.warmUpSeconds);
  const measurements: Measurement[] = [];
  for (const window of task.windows) measurements.push(await traffic.window(window));
  if (traffic.lostConnections > 0) {
    throw new Error(`the broker closed ${traffic.lostConnections} connections`);
  }
  await traffic.close();
  return measurements;
}
