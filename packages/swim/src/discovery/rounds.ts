import { isIP } from 'node:net';
import { setTimeout as systemWait } from 'node:timers/promises';
import { parseAddress } from '../address.ts';
import type { SwimLog } from '../ports.ts';
import { type Discovery, type DiscoveryHost, type Finder, FOUND_MAX } from './discovery.ts';

/** Members that ask within one interval. */
const ASKERS = 8;

/** What {@link DiscoveryRounds} are started with. */
export interface RoundsOptions {
  readonly discoveries: readonly Discovery[];
  readonly host: DiscoveryHost;
  /** Seeds that are there always. */
  readonly seeds: readonly string[];
  /** Pause between two rounds of one discovery; times an eighth of the members, if there are more. */
  readonly intervalMs: number;
  /** Pause while no other member is known. */
  readonly lonelyIntervalMs: number;
  /** All seeds known now, the static ones first; after every change. */
  readonly onSeeds: (seeds: readonly string[]) => void;
  readonly log?: SwimLog | undefined;
  /** Resolves after that time, or at once when the signal aborts; never rejects. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Asks every discovery at the start and again and again, each at its own pace.
 *
 * One that fails, now or while it opens, keeps the seeds it named before and is tried again; the
 * others go on. With more than eight members each asks more seldom, so that all together ask eight
 * times an interval at most.
 */
export class DiscoveryRounds {
  readonly #options: RoundsOptions;
  readonly #ending = new AbortController();
  readonly #found: Set<string>[];
  readonly #running: Promise<void>[];
  #last = '';

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#found = options.discoveries.map(() => new Set());
    this.#last = options.seeds.join();
    this.#running = options.discoveries.map((discovery, index) => this.#run(discovery, index));
  }

  /** Resolves when nothing is open any more. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  async #run(discovery: Discovery, index: number): Promise<void> {
    const { host, log } = this.#options;
    const { signal } = this.#ending;
    let finder: Finder | undefined;
    let complaint = '';
    while (!signal.aborted) {
      try {
        finder ??= await discovery.open(host);
        await this.#round(finder, index);
        complaint = '';
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== complaint && !signal.aborted) {
          log?.('warn', 'discovery failed: it is retried', {
            discovery: discovery.describes,
            reason,
          });
        }
        complaint = reason;
      }
      if (!signal.aborted) await (this.#options.wait ?? wait)(this.#pauseMs(), signal);
    }
    try {
      await finder?.close();
    } catch (error) {
      const { describes } = discovery;
      log?.('warn', 'cannot close a discovery', { discovery: describes, reason: String(error) });
    }
  }

  async #round(finder: Finder, index: number): Promise<void> {
    const { signal } = this.#ending;
    const before = this.#found[index] ?? new Set();
    const now = new Set<string>();
    // During a round earlier finds count, too: a round over a range takes long.
    const both = new Set(before);
    this.#found[index] = both;
    await finder.search((seed) => {
      if (signal.aborted || now.size >= FOUND_MAX || !this.#isUsable(seed)) return;
      now.add(seed);
      both.add(seed);
      this.#tell();
    }, signal);
    if (signal.aborted) return;
    this.#found[index] = now;
    this.#tell();
  }

  #tell(): void {
    const seeds = new Set(this.#options.seeds);
    for (const each of this.#found) for (const seed of each) seeds.add(seed);
    const all = [...seeds];
    const text = all.toSorted().join();
    if (text === this.#last) return;
    this.#last = text;
    this.#options.onSeeds(all);
  }

  /** Checks a seed that a peer or server names; one of the other IP family leads nowhere. */
  #isUsable(seed: string): boolean {
    if (seed === this.#options.host.address) return false;
    try {
      const { host, port } = parseAddress(seed);
      const own = isIP(parseAddress(this.#options.host.transport.address).host);
      return port !== 0 && (isIP(host) === 0 || own === 0 || isIP(host) === own);
    } catch {
      return false;
    }
  }

  #pauseMs(): number {
    const { intervalMs, lonelyIntervalMs, host } = this.#options;
    const present = host.presentCount();
    if (present <= 1) return Math.min(lonelyIntervalMs, intervalMs);
    return intervalMs * Math.max(1, Math.ceil(present / ASKERS));
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await systemWait(ms, undefined, { signal, ref: false }).catch(() => {});
}
