import type { Context } from './context.ts';
import { fnv1a, fnvStep } from './fnv.ts';
import { isPresent } from './member-list.ts';
import { type BranchSums, FAN_OUT } from './message.ts';
import type { Statement } from './statement.ts';

const REMEMBERED_FRACTION = 0.9;

/**
 * A hash tree over what is known of members, 64 × 64 leaves by the hash of the name: two members find
 * their differences in bytes proportional to these, not to the size of the cluster.
 *
 * Built on demand, since members change more often than they are compared. Alive and suspect count as
 * one, since suspicions end by themselves. Dead members that are soon forgotten do not count, since each
 * member forgets at its own time.
 */
export class DigestTree {
  readonly #leaves = new Uint32Array(FAN_OUT * FAN_OUT);

  constructor(context: Context) {
    for (const statement of counted(context)) {
      const at = leafOf(statement.name);
      this.#leaves[at] = (this.#leaves[at] as number) + weightOf(statement);
    }
  }

  /** u32 for each branch. */
  branches(): number[] {
    return Array.from({ length: FAN_OUT }, (_, branch) =>
      this.#branch(branch).reduce((hash, sum) => fnvStep(hash, sum) >>> 0, 0),
    );
  }

  /** The leaves of those branches that another tree sums up differently. */
  differingBranches(theirs: readonly number[]): BranchSums[] {
    const differing: BranchSums[] = [];
    this.branches().forEach((sum, branch) => {
      if (sum !== theirs[branch]) differing.push({ branch, sums: [...this.#branch(branch)] });
    });
    return differing;
  }

  /** Numbers of the leaves that another tree holds differently. */
  differingLeaves(theirs: readonly BranchSums[]): number[] {
    const differing: number[] = [];
    for (const { branch, sums } of theirs) {
      this.#branch(branch).forEach((sum, leaf) => {
        if (sum !== sums[leaf]) differing.push(branch * FAN_OUT + leaf);
      });
    }
    return differing;
  }

  #branch(branch: number): Uint32Array {
    return this.#leaves.subarray(branch * FAN_OUT, (branch + 1) * FAN_OUT);
  }
}

/** Members in these leaves. */
export function* membersIn(context: Context, leaves: Iterable<number>): Iterable<Statement> {
  const wanted = new Set(leaves);
  for (const statement of counted(context)) {
    if (wanted.has(leafOf(statement.name))) yield statement;
  }
}

function* counted({ members, config, nowMs }: Context): Iterable<Statement> {
  const soonForgottenMs = config.forgetAfterMs * REMEMBERED_FRACTION;
  for (const statement of members.all()) {
    const isCounted =
      isPresent(statement) || nowMs - members.deadSince(statement.name) < soonForgottenMs;
    if (isCounted) yield statement;
  }
}

function weightOf({ hash, state }: Statement): number {
  const rank = state === 'faulty' ? 1 : state === 'left' ? 2 : 0;
  return Math.imul(hash ^ rank, 0x9e3779b1);
}

/** FNV-1a, folded to 0..4095. */
function leafOf(name: string): number {
  const hash = fnv1a(name);
  return ((hash >>> 20) ^ (hash >>> 8) ^ hash) & (FAN_OUT * FAN_OUT - 1);
}
