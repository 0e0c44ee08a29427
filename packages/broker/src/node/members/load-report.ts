/** What copies complain of, for people: one line for all shards of a kind, not one for each. */
import type { BrokerErrorCode } from '../../errors.ts';
import type { Log } from '../../ports.ts';
import type { Complaint } from '../../shard/host.ts';
import type { Corruption } from '../../shard/recovery.ts';

/** Shards named in one log line, beside the number of all. */
const NAMED_MAX = 8;

const TEXT: Record<Complaint, string> = {
  short:
    'copies lost entries that they acknowledged: they are learners until a snapshot replaces them',
  contradiction:
    'copies stopped: they hold committed entries that a later view of their shards lacks. Restore the nodes that lost the entries, or give them up with `shoal shard recover --accept-loss`',
};

class Group {
  readonly shards: number[] = [];
  why = '';

  add(shard: number, why: string): void {
    if (this.shards.length === 0) this.why = why;
    this.shards.push(shard);
  }

  get fields(): Record<string, unknown> {
    const { shards, why } = this;
    return {
      shards: shards.length,
      first: shards.toSorted((a, b) => a - b).slice(0, NAMED_MAX),
      why,
    };
  }
}

/** Complaints of running copies, told together at the next tick. */
export class Complaints {
  #groups = new Map<Complaint, Group>();

  add(shard: number, what: Complaint, why: string): void {
    const group = this.#groups.get(what) ?? new Group();
    this.#groups.set(what, group);
    group.add(shard, why);
  }

  flush(log: Log): void {
    if (this.#groups.size === 0) return;
    for (const [what, group] of this.#groups) log('error', TEXT[what], group.fields);
    this.#groups = new Map();
  }
}

/** Why a node cannot serve with what it found on its disk. */
export interface LoadProblem {
  readonly code: BrokerErrorCode;
  readonly message: string;
}

/** What loading all shards found. */
export class LoadReport {
  readonly #format = new Group();
  readonly #vote = new Group();
  readonly #alone = new Group();
  readonly #short = new Group();
  readonly #accepted = new Group();

  add(shard: number, { what, why, alone, accepted }: Corruption): void {
    const data = accepted ? this.#accepted : alone ? this.#alone : this.#short;
    const group = what === 'format' ? this.#format : what === 'vote' ? this.#vote : data;
    group.add(shard, why);
  }

  /** Says what people should know. @returns why the node cannot serve; null if it can */
  finish(log: Log): LoadProblem | null {
    const [format, vote, alone] = [this.#format, this.#vote, this.#alone];
    if (format.shards.length > 0) return problem('BROKER_ERR_DATA_NEWER_FORMAT', format);
    if (this.#short.shards.length > 0) log('error', TEXT.short, this.#short.fields);
    if (this.#accepted.shards.length > 0) {
      const text = 'the only copies lost entries that they acknowledged: loss accepted';
      log('warn', text, this.#accepted.fields);
    }
    if (vote.shards.length > 0) {
      log('error', 'copies lost promises or views: they may not vote', vote.fields);
      return problem('BROKER_ERR_CORRUPT_RECORD', vote);
    }
    if (alone.shards.length === 0) return null;
    log('error', 'the only copies lost entries that they acknowledged', alone.fields);
    return problem('BROKER_ERR_DATA_SHORT', alone);
  }
}

function problem(code: BrokerErrorCode, { shards, why }: Group): LoadProblem {
  const of = shards.length === 1 ? 'shard' : `${shards.length} shards, the first of them`;
  return { code, message: `${of} ${shards[0]}: ${why}` };
}
