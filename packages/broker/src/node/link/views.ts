/** Who leads which shard, as the leaders themselves announced it. */
import type { Reader, Writer } from '../../bytes.ts';
import { mix32 } from '../../placement/hash.ts';
import {
  type CopyId,
  compareNumbers,
  NO_NUMBER,
  nameOf,
  readNumber,
  type ViewNumber,
  writeNumber,
} from '../../shard/view.ts';

/** One shard's leadership. */
export interface ShardView {
  readonly shard: number;
  readonly number: ViewNumber;
  /** Counts the leader's terms: when it changes, unanswered requests are sent again. */
  readonly since: number;
  readonly routeVersion: string;
  readonly active: readonly CopyId[];
  readonly voters: readonly CopyId[];
  /** Voters that are left; not empty while a change of voters is under way. */
  readonly oldVoters: readonly CopyId[];
}

export function writeShardView(w: Writer, v: ShardView): void {
  w.varint(v.shard);
  writeNumber(w, v.number);
  w.varint(v.since);
  w.str(v.routeVersion);
  w.list(v.active, (o, id) => o.str(id));
  w.list(v.voters, (o, id) => o.str(id));
  w.list(v.oldVoters, (o, id) => o.str(id));
}

export function readShardView(r: Reader): ShardView {
  return {
    shard: r.varint(),
    number: readNumber(r),
    since: r.varint(),
    routeVersion: r.str(),
    active: r.list((i) => i.str()),
    voters: r.list((i) => i.str()),
    oldVoters: r.list((i) => i.str()),
  };
}

/** A shard that a process has led and does not lead any more. */
export interface LostShard {
  readonly shard: number;
  /** Its last view as the leader. */
  readonly number: ViewNumber;
  /** How long ago it lost it, in milliseconds. */
  readonly agoMs: number;
}

export function writeLostShard(w: Writer, { shard, number, agoMs }: LostShard): void {
  w.varint(shard);
  writeNumber(w, number);
  w.f64(agoMs);
}

export function readLostShard(r: Reader): LostShard {
  return { shard: r.varint(), number: readNumber(r), agoMs: r.f64() };
}

/**
 * Print of a set of shards with this one put in, or taken out: 32 bits that differ for different sets, but
 * for one pair in 2³². That of none is 0.
 */
export function printWith(print: number, shard: number): number {
  return (print ^ mix32(shard + 1)) >>> 0;
}

export class Views {
  #views: (ShardView | null)[] = [];
  #known = 0;
  /** Name → how many shards it leads, and their print. */
  readonly #leads = new Map<string, { count: number; print: number }>();

  resize(shardCount: number): void {
    this.#views = new Array(shardCount).fill(null);
  }

  get(shard: number): ShardView | null {
    return this.#views[shard] ?? null;
  }

  /** Name of the node that leads the shard, '' while none is known. */
  leader(shard: number): string {
    const view = this.#views[shard];
    return view ? nameOf(view.number.leader) : '';
  }

  /** @returns the view before, or undefined when what came is not newer */
  update(view: ShardView): ShardView | null | undefined {
    const held = this.#views[view.shard] ?? null;
    const order = compareNumbers(view.number, held?.number ?? NO_NUMBER);
    if (order < 0) return undefined;
    if (order === 0 && held?.since === view.since && held.routeVersion === view.routeVersion)
      return undefined;
    this.#views[view.shard] = view;
    if (!held) this.#known++;
    else this.#count(nameOf(held.number.leader), view.shard, -1);
    this.#count(nameOf(view.number.leader), view.shard, 1);
    return held;
  }

  *[Symbol.iterator](): Generator<ShardView> {
    for (const view of this.#views) if (view) yield view;
  }

  #count(name: string, shard: number, change: 1 | -1): void {
    let led = this.#leads.get(name);
    if (!led) {
      led = { count: 0, print: 0 };
      this.#leads.set(name, led);
    }
    led.count += change;
    led.print = printWith(led.print, shard);
    if (led.count === 0) this.#leads.delete(name);
  }

  /** Print of the shards that a node is known to lead. */
  printLedBy(name: string): number {
    return this.#leads.get(name)?.print ?? 0;
  }

  /** Every node that leads a shard. */
  get leaders(): Iterable<string> {
    return this.#leads.keys();
  }

  /** Whether the process is known to lead a shard. */
  leads(name: string, bootEpoch: number): boolean {
    if (!this.#leads.has(name)) return false;
    return this.#views.some(
      (v) => v?.number.bootEpoch === bootEpoch && nameOf(v.number.leader) === name,
    );
  }

  /** Every shard has a leader that is known. */
  get complete(): boolean {
    return this.#views.length > 0 && this.#known === this.#views.length;
  }
}
