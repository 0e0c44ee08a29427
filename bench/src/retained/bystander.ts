/**
 * A thread with one client at each node that sends PINGREQ every 20 ms and waits for its PINGRESP.
 *
 * The thread does nothing else, so that what it measures is the node's time and not that of the load.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { encodeConnect } from '../load/codec.ts';

const PING_EVERY_MS = 20;
const PINGREQ = Buffer.from([0xc0, 0]);

/** Waits for PINGRESP in milliseconds. */
export interface PingWaits {
  readonly pings: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** The bystanders of some nodes, from the outside. */
export class Bystanders {
  readonly #worker: Worker;

  /** @param ports MQTT ports on 127.0.0.1; a node that goes away is left, and pinged no more */
  constructor(ports: readonly number[]) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { ports } });
  }

  /** What was waited since the last call; the pings that still wait count as well. */
  take(): Promise<PingWaits> {
    const { promise, resolve, reject } = Promise.withResolvers<PingWaits>();
    this.#worker.once('message', resolve);
    this.#worker.once('error', reject);
    this.#worker.postMessage('take');
    return promise.finally(() => this.#worker.removeListener('error', reject));
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

interface Pinging {
  /** 0: no ping is under way. */
  sinceMs: number;
}

async function ping(port: number, index: number, state: Pinging, waits: number[]): Promise<void> {
  const socket: Socket = connect({ host: '127.0.0.1', port, noDelay: true });
  let gone = false;
  let answered = (): void => {};
  socket.on('error', () => {});
  socket.once('close', () => {
    gone = true;
    answered();
  });
  socket.on('data', () => answered());
  const answer = () =>
    new Promise<void>((resolve) => {
      answered = resolve;
    });
  const accepted = answer();
  socket.write(encodeConnect(`bystander-${index}`, true));
  await accepted;
  while (!gone) {
    const sentMs = performance.now();
    state.sinceMs = sentMs;
    const response = answer();
    socket.write(PINGREQ);
    await response;
    state.sinceMs = 0;
    const waitMs = performance.now() - sentMs;
    if (!gone) waits.push(waitMs);
    await pause(Math.max(0, PING_EVERY_MS - waitMs));
  }
}

if (parentPort !== null && workerData !== null && 'ports' in workerData) {
  const waits: number[] = [];
  const states: Pinging[] = [];
  for (const [index, port] of (workerData as { ports: number[] }).ports.entries()) {
    const state = { sinceMs: 0 };
    states.push(state);
    void ping(port, index, state, waits);
  }
  parentPort.on('message', () => {
    const nowMs = performance.now();
    for (const { sinceMs } of states) if (sinceMs > 0) waits.push(nowMs - sinceMs);
    waits.sort((a, b) => a - b);
    const p99Ms = waits[Math.floor(waits.length * 0.99)] ?? 0;
    parentPort?.postMessage({ pings: waits.length, p99Ms, longestMs: waits.at(-1) ?? 0 });
    waits.length = 0;
  });
}
