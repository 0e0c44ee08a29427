import type { Random } from '../ports.ts';
import { type MemberState, stateRank, type Update } from './message.ts';
import type { SuspicionBounds } from './suspicion.ts';

/** A member as the public door shows it. */
export interface SwimMember {
  readonly name: string;
  /** Fresh at every start of the process; a higher one replaces whatever is known. */
  readonly bootEpoch: number;
  /** Raised by the member itself, to refute and to change its metadata. */
  readonly incarnation: number;
  readonly state: MemberState;
  /** host:port of its cluster address. */
  readonly address: string;
  /** At most 512 bytes, opaque here. */
  readonly meta: Uint8Array;
}

/** An open suspicion. */
export interface Suspicion {
  readonly startMs: number;
  readonly bounds: SuspicionBounds;
  readonly accusers: Set<string>;
  /** Another member's timeout ran out: the shortest applies, whoever confirms. */
  settled: boolean;
  /** What that other member says, to be believed when the time is up. */
  verdict: Update | undefined;
  token: number;
}

/** What is kept of a member. */
export interface MemberRecord {
  readonly name: string;
  bootEpoch: number;
  incarnation: number;
  state: MemberState;
  address: string;
  meta: Uint8Array;
  /** When it took its present state. */
  sinceMs: number;
  suspicion: Suspicion | undefined;
  /** Of a left one: the member where an operator removed it; '' if it said so itself. */
  removedBy: string;
}

/**
 * Order of two statements about one name: by boot epoch, then incarnation, then state.
 *
 * A total order, and each member keeps the highest it has seen: so all agree in the end, whatever
 * the order in which they hear. (The paper lets faulty override every incarnation; here an alive of
 * a higher one overrides it, or a healed split would need a human.)
 *
 * @returns < 0 if left is older, 0 if equal, > 0 if left is newer
 */
export function comparePrecedence(
  left: Pick<Update, 'bootEpoch' | 'incarnation' | 'state'>,
  right: Pick<Update, 'bootEpoch' | 'incarnation' | 'state'>,
): number {
  return (
    left.bootEpoch - right.bootEpoch ||
    left.incarnation - right.incarnation ||
    stateRank(left.state) - stateRank(right.state)
  );
}

/** Alive or suspect: to be probed, told and linked. */
export function isPresent(record: { readonly state: MemberState }): boolean {
  return record.state === 'alive' || record.state === 'suspect';
}

/**
 * Dead in the eyes of others: it may come back. Those that an operator removed too, or two halves of a
 * split that removed each other would never meet again.
 */
function isLost({ state, removedBy }: MemberRecord): boolean {
  return state === 'faulty' || removedBy !== '';
}

/** Every member known, this one included; draws probe targets and helpers. */
export class MemberList {
  readonly self: MemberRecord;
  private readonly records = new Map<string, MemberRecord>();
  private readonly random: Random;
  private round: string[] = [];
  private deadRound: string[] = [];
  private presentPeers: MemberRecord[] | undefined;
  private hash: number | undefined;
  private view: readonly SwimMember[] | undefined;

  constructor(self: MemberRecord, random: Random) {
    this.self = self;
    this.random = random;
    this.records.set(self.name, self);
  }

  get size(): number {
    return this.records.size;
  }

  get(name: string): MemberRecord | undefined {
    return this.records.get(name);
  }

  all(): IterableIterator<MemberRecord> {
    return this.records.values();
  }

  add(record: MemberRecord): void {
    this.records.set(record.name, record);
    this.touch();
    // SWIM §4.3: a newcomer enters the round at random, so that it waits for no more than one.
    if (isPresent(record)) {
      const at = Math.floor(this.random() * (this.round.length + 1));
      this.round.splice(at, 0, record.name);
    }
  }

  remove(name: string): void {
    this.records.delete(name);
    this.touch();
  }

  /** To be called after any change of a record. */
  touch(): void {
    this.presentPeers = undefined;
    this.view = undefined;
    this.hash = undefined;
  }

  /** Members that are alive or suspect, this one aside, in order of arrival. */
  peers(): readonly MemberRecord[] {
    this.presentPeers ??= [...this.records.values()].filter(
      (record) => record !== this.self && isPresent(record),
    );
    return this.presentPeers;
  }

  /** Members not dead, this one included: the n of every formula. */
  presentCount(): number {
    return this.peers().length + 1;
  }

  /**
   * A hash of who is present in which boot epoch and incarnation, the same for equal sets.
   *
   * Not of states: suspect and alive come and go, and the dead are forgotten at different times.
   */
  digest(): number {
    if (this.hash === undefined) {
      let sum = 0;
      for (const record of this.records.values()) if (isPresent(record)) sum += hashOf(record);
      this.hash = sum >>> 0;
    }
    return this.hash;
  }

  /** Everybody, sorted by name. The array is shared and stays as it is. */
  members(): readonly SwimMember[] {
    this.view ??= Object.freeze(
      [...this.records.values()]
        .sort((x, y) => (x.name < y.name ? -1 : 1))
        .map(({ name, bootEpoch, incarnation, state, address, meta }) =>
          Object.freeze({ name, bootEpoch, incarnation, state, address, meta }),
        ),
    );
    return this.view;
  }

  /** Next target of the shuffled round-robin (SWIM §4.3); undefined without peers. */
  nextTarget(): MemberRecord | undefined {
    for (;;) {
      if (this.round.length === 0) {
        this.round = this.peers().map((record) => record.name);
        if (this.round.length === 0) return undefined;
        this.shuffle(this.round);
      }
      const record = this.records.get(this.round.pop() as string);
      if (record !== undefined && record !== this.self && isPresent(record)) return record;
    }
  }

  /** Next lost member to try again, all in turn; undefined if there is none. */
  nextLost(): MemberRecord | undefined {
    for (let refilled = false; ; ) {
      const name = this.deadRound.pop();
      if (name === undefined) {
        if (refilled) return undefined;
        refilled = true;
        for (const record of this.records.values()) {
          if (isLost(record)) this.deadRound.push(record.name);
        }
        this.shuffle(this.deadRound);
        continue;
      }
      const record = this.records.get(name);
      if (record !== undefined && isLost(record)) return record;
    }
  }

  /** Up to `count` different present peers at random, none named in `exclude`. */
  pickPeers(count: number, ...exclude: string[]): MemberRecord[] {
    const pool = this.peers().filter((record) => !exclude.includes(record.name));
    const picked: MemberRecord[] = [];
    // A partial Fisher–Yates: only as many swaps as members wanted.
    for (let n = 0; n < count && n < pool.length; n += 1) {
      const at = n + Math.floor(this.random() * (pool.length - n));
      const chosen = pool[at] as MemberRecord;
      pool[at] = pool[n] as MemberRecord;
      pool[n] = chosen;
      picked.push(chosen);
    }
    return picked;
  }

  /** The dead member that has been so for longest: the first to forget. */
  oldestDead(): MemberRecord | undefined {
    let oldest: MemberRecord | undefined;
    for (const record of this.records.values()) {
      if (isPresent(record)) continue;
      if (oldest === undefined || record.sinceMs < oldest.sinceMs) oldest = record;
    }
    return oldest === this.self ? undefined : oldest;
  }

  private shuffle(names: string[]): void {
    for (let last = names.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.random() * (last + 1));
      const kept = names[last] as string;
      names[last] = names[other] as string;
      names[other] = kept;
    }
  }
}

/** FNV-1a over what a digest covers, with MurmurHash3's final mix. */
function hashOf(record: MemberRecord): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < record.name.length; at += 1) {
    hash = Math.imul(hash ^ record.name.charCodeAt(at), 0x01000193);
  }
  const { bootEpoch, incarnation } = record;
  for (const part of [bootEpoch >>> 0, Math.floor(bootEpoch / 0x1_0000_0000), incarnation]) {
    hash = Math.imul(hash ^ part, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  }
  return (hash ^ (hash >>> 13)) >>> 0;
}
