import {
  PACKET_BYTES_MAX,
  type RequestDone,
  type Transport,
  type TransportHandlers,
  type TransportOptions,
} from '../transport.ts';
import type { TimeSource } from './scheduler.ts';

/** What carries the bytes between addresses. */
interface Carrier {
  /** @throws Error if the address is in use */
  attach(address: string, port: TransportHandlers): void;
  detach(address: string): void;
  /** @returns false if it was given up before it left */
  send(from: string, to: string, bytes: Uint8Array): boolean;
  request(from: string, to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void;
}

/** One address of a simulated network. */
export class SimTransport implements Transport {
  readonly address: string;
  failed = 0;
  readonly #options: TransportOptions;
  readonly #network: Carrier;
  readonly #scheduler: TimeSource;
  /** How to end each request of ours that is under way. */
  readonly #pending = new Set<() => void>();
  #closed = false;

  constructor(network: Carrier, scheduler: TimeSource, options: TransportOptions) {
    this.address = options.listen;
    this.#options = options;
    this.#network = network;
    this.#scheduler = scheduler;
    network.attach(this.address, {
      onPacket: (from, bytes) => options.onPacket(from, bytes),
      onRequest: (from, bytes, reply) => this.#serve(from, bytes, reply),
    });
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#closed) return;
    const fits = bytes.length <= PACKET_BYTES_MAX;
    if (!fits || !this.#network.send(this.address, to, bytes)) this.failed++;
  }

  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    const finish: RequestDone = (answer, why) => {
      if (this.#pending.delete(fail)) done(answer, why);
    };
    const fail = (): void => finish(null);
    this.#pending.add(fail);
    if (this.#closed || bytes.length > this.#options.streamBytesMax) this.#scheduler.after(0, fail);
    else this.#network.request(this.address, to, bytes, timeoutMs, finish);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#network.detach(this.address);
    for (const fail of this.#pending) fail();
  }

  #serve(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void {
    const { streamBytesMax, streamTimeoutMs } = this.#options;
    const untilMs = this.#scheduler.nowMs + streamTimeoutMs;
    if (bytes.length > streamBytesMax) {
      reply(null);
      return;
    }
    this.#options.onRequest(from, bytes, (answer) => {
      const late = this.#closed || this.#scheduler.nowMs > untilMs;
      reply(late || answer === null || answer.length > streamBytesMax ? null : answer);
    });
  }
}
