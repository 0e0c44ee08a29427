import { setTimeout as wait } from 'node:timers/promises';
import { formatAddress } from '../address.ts';
import { deferred } from '../deferred.ts';
import type { Discovery, DiscoveryHost, Finder } from './discovery.ts';

/** Addresses of one range; a larger one is refused. */
export const RANGE_ADDRESSES_MAX = 4_096;
const PACKETS_AT_ONCE = 16;
const PACKETS_PAUSE_MS = 62.5;
const STREAMS_AT_ONCE = 32;
const STREAM_MS = 1_000;
/** Time that the last one asked has to answer. */
const ANSWER_MS = 400;

/** What {@link rangeSeeds} asks. */
export interface RangeSeedsOptions {
  /** First IPv4 address. */
  readonly from: string;
  /** Last one, at most 4,096 addresses on. */
  readonly to: string;
  /** The cluster port of the members that may be there, 1 to 65535. */
  readonly port: number;
  readonly via: 'udp' | 'tcp';
  /** What it was made from, for the log; default the first and the last address. */
  readonly describes?: string;
}

/**
 * Asks every address of a range who is there: by datagrams, 256 a second, or over streams where
 * UDP does not pass, 32 at once with a second each. So a /24 takes one second or up to eight.
 */
export function rangeSeeds(options: RangeSeedsOptions): Discovery {
  const { from, to, port, via } = options;
  const kind = via === 'tcp' ? 'range+tcp' : 'range';
  return {
    describes: options.describes ?? `${kind}:${from}-${to}:${port}`,
    open: async (host) => new RangeFinder(options, host),
  };
}

class RangeFinder implements Finder {
  readonly #options: RangeSeedsOptions;
  readonly #host: DiscoveryHost;

  constructor(options: RangeSeedsOptions, host: DiscoveryHost) {
    this.#options = options;
    this.#host = host;
  }

  async search(found: (seed: string) => void, signal: AbortSignal): Promise<void> {
    const question = this.#host.hello.ask(found);
    try {
      if (this.#options.via === 'udp') await this.#askByPackets(question.bytes, signal);
      else await this.#askByStreams(question.bytes, signal);
    } finally {
      question.end();
    }
  }

  async close(): Promise<void> {}

  async #askByPackets(question: Uint8Array, signal: AbortSignal): Promise<void> {
    let asked = 0;
    for (const address of this.#addresses()) {
      this.#host.transport.send(address, question);
      asked++;
      if (asked % PACKETS_AT_ONCE === 0) await pause(PACKETS_PAUSE_MS, signal);
      if (signal.aborted) return;
    }
    await pause(ANSWER_MS, signal);
  }

  async #askByStreams(question: Uint8Array, signal: AbortSignal): Promise<void> {
    const { transport, hello } = this.#host;
    const addresses = this.#addresses();
    const worker = async (): Promise<void> => {
      for (const address of addresses) {
        if (signal.aborted) return;
        const { promise, resolve } = deferred<Uint8Array | null>();
        transport.request(address, question, STREAM_MS, resolve);
        const answer = await promise;
        if (answer !== null) hello.take(answer);
      }
    };
    // All workers share one generator, which gives each address once.
    await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, worker));
  }

  /** Every address but our own, from a random one on, so that askers do not all begin with the same. */
  *#addresses(): Generator<string, undefined> {
    const { from, to, port } = this.#options;
    const first = numberOf(from);
    const count = numberOf(to) - first + 1;
    const start = Math.floor(Math.random() * count);
    for (let n = 0; n < count; n++) {
      const address = formatAddress(textOf(first + ((start + n) % count)), port);
      if (address !== this.#host.transport.address) yield address;
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => {});
}

/** 10.0.0.1 → 167772161. */
export function numberOf(ip: string): number {
  return ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** The inverse of {@link numberOf}. */
export function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
