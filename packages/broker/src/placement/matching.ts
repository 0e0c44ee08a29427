/** Shards that want slots filled, members that fill them up to a cap. */
export interface MatchingProblem {
  readonly shardCount: number;
  readonly memberCount: number;
  /** Slots of every shard. */
  readonly slots: number;
  /** Most slots that each member may fill. */
  readonly caps: readonly number[];
  /** Pairs shard × memberCount + member, best first. */
  readonly order: Uint32Array;
  /**
   * May `member` join those in `taken` (−1: an empty slot) without breaking a rule of the shard's
   * own? Does not look at caps. `without` is to be left out of `taken`; −1 for none.
   */
  readonly fits: (shard: number, taken: Int32Array, member: number, without: number) => boolean;
}

/**
 * Fills every slot: best pairs first, as far as caps and `fits` allow; then, for shards that found
 * all who fit at their cap, by moving others on (an augmenting path); if there is no such path, above
 * the cap of the member that is the least above it. The rule of the shard is kept before the cap.
 *
 * Greedy in one common order is the stable matching: taking one member away, or adding one, moves
 * what it held or takes and little else.
 *
 * @returns members by slot, shard × slots + slot, each shard's best first; −1 where no member fits
 */
export function match(problem: MatchingProblem): Int32Array {
  const { shardCount, memberCount, slots, caps, order, fits } = problem;
  const taken = new Int32Array(shardCount * slots).fill(-1);
  const slotsOf = Array.from({ length: shardCount }, (_, shard) =>
    taken.subarray(shard * slots, (shard + 1) * slots),
  );
  const filled = new Int32Array(shardCount);
  const load = new Int32Array(memberCount);
  const take = (shard: number, member: number): void => {
    slotsOf[shard]![filled[shard]!++] = member;
    load[member]!++;
  };
  for (const pair of order) {
    const shard = Math.floor(pair / memberCount);
    const member = pair % memberCount;
    if (filled[shard]! === slots || load[member]! >= caps[member]!) continue;
    if (fits(shard, slotsOf[shard]!, member, -1)) take(shard, member);
  }
  for (let shard = 0; shard < shardCount; shard++) {
    while (filled[shard]! < slots) {
      const path = augmentingPath(problem, slotsOf, load, shard) ?? leastOver(shard);
      if (path === undefined) break;
      // From the end: each step makes the room that the one before it needs.
      for (let i = path.length - 1; i >= 0; i--) {
        const step = path[i]!;
        if (step.without === -1) {
          take(step.shard, step.member);
        } else {
          const at = slotsOf[step.shard]!.indexOf(step.without);
          slotsOf[step.shard]![at] = step.member;
          load[step.without]!--;
          load[step.member]!++;
        }
      }
    }
  }
  return taken;

  function leastOver(shard: number): Step[] | undefined {
    let best = -1;
    for (let member = 0; member < memberCount; member++) {
      if (!fits(shard, slotsOf[shard]!, member, -1)) continue;
      if (best === -1 || load[member]! * caps[best]! < load[best]! * caps[member]!) best = member;
    }
    return best === -1 ? undefined : [{ shard, without: -1, member: best, before: undefined }];
  }
}

/** `member` takes a slot of `shard`, in the place of `without` (−1: an empty one). */
interface Step {
  readonly shard: number;
  readonly without: number;
  readonly member: number;
  readonly before: Step | undefined;
}

/**
 * The shortest chain "a takes a slot of this shard, b takes a's place in another, …" that ends with a
 * member below its cap. Visits each member once and changes each shard once.
 */
function augmentingPath(
  problem: MatchingProblem,
  slotsOf: readonly Int32Array[],
  load: Int32Array,
  start: number,
): Step[] | undefined {
  const { shardCount, memberCount, caps, fits } = problem;
  const visited = new Uint8Array(memberCount);
  const queue: Step[] = [];
  const reach = (shard: number, without: number, before: Step | undefined): Step | undefined => {
    for (let member = 0; member < memberCount; member++) {
      if (visited[member] === 1 || !fits(shard, slotsOf[shard]!, member, without)) continue;
      visited[member] = 1;
      const step = { shard, without, member, before };
      if (load[member]! < caps[member]!) return step;
      queue.push(step);
    }
    return undefined;
  };
  let end = reach(start, -1, undefined);
  // The queue holds each member at most once.
  for (let next = 0; end === undefined && next < queue.length; next++) {
    const step = queue[next]!;
    for (let shard = 0; end === undefined && shard < shardCount; shard++) {
      if (slotsOf[shard]!.includes(step.member) && !passes(step, shard)) {
        end = reach(shard, step.member, step);
      }
    }
  }
  if (end === undefined) return undefined;
  const path: Step[] = [];
  for (let at: Step | undefined = end; at !== undefined; at = at.before) path.unshift(at);
  return path;
}

function passes(path: Step, shard: number): boolean {
  for (let at: Step | undefined = path; at !== undefined; at = at.before) {
    if (at.shard === shard) return true;
  }
  return false;
}
