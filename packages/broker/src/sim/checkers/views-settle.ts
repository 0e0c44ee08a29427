import { Checker, type World } from './checker.ts';

/** In the end no view is formed for so long. */
const QUIET_MS = 3000;

/**
 * Invariant 16: once the faults are over views stop changing, and each shard has all its copies.
 */
export class ViewsSettle extends Checker {
  readonly invariant = '16 views settle';
  readonly #wanted: () => number;
  /** shard → highest view seen and since when. */
  readonly #views = new Map<number, { view: number; sinceMs: number }>();

  /** @param wanted min(R, hosts) */
  constructor(wanted: () => number) {
    super();
    this.#wanted = wanted;
  }

  override onPhase(_node: string, phase: string, fields?: Record<string, unknown>): void {
    if (phase === 'established' && fields !== undefined)
      this.#saw(Number(fields['shard']), Number(fields['counter']), this.history.nowMs);
  }

  #saw(shard: number, view: number, nowMs: number): void {
    const held = this.#views.get(shard);
    if (held === undefined || view > held.view) this.#views.set(shard, { view, sinceMs: nowMs });
  }

  override pending(world: World): string | undefined {
    const wanted = this.#wanted();
    for (const { node, inspection } of world.inspections()) {
      for (const copy of inspection.shards) {
        this.#saw(copy.shard, copy.view, world.nowMs);
        // A member that came and went too often is out of placement for a minute or more.
        const least = Math.min(wanted, copy.wanted ?? wanted);
        if (copy.role === 'leader' && copy.active.length < least)
          return `shard ${copy.shard}: ${node} leads with ${copy.active.join(' ')}, ${least} copies are wanted`;
      }
    }
    for (const [shard, { view, sinceMs }] of this.#views)
      if (world.nowMs - sinceMs < QUIET_MS)
        return `shard ${shard}: view ${view} was formed ${(world.nowMs - sinceMs).toFixed(0)} ms ago`;
    return undefined;
  }
}
