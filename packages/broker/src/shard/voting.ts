/**
 * A voter's side of forming a view: its promises, and what it installs and records.
 *
 * A promise, an installation and a record are said when they are durable.
 */
import type { Copy } from './copy.ts';
import type { ShardMessage } from './message.ts';
import type { Promised } from './procedures.ts';
import { APPEND_BYTES_MAX, readEntries } from './read.ts';
import {
  type CopyId,
  compareNumbers,
  NO_NUMBER,
  sameNumber,
  type View,
  type ViewNumber,
} from './view.ts';

/** What voting asks of the other parts of a replica. */
export interface VotingParts {
  readonly formation: {
    readonly underWay: boolean;
    /** This copy forms the view of this number, or another one while it leads without a break. */
    holds(number: ViewNumber): boolean;
    abandon(why: string): void;
  };
  readonly maintenance: {
    /** The copy does not stand for leader before. */
    postpone(untilMs: number): void;
    /** A view is taken: its leader has not been missed yet. */
    onView(): void;
  };
  readonly learning: { stop(): void };
}

export class Voting {
  readonly #copy: Copy;
  readonly #parts: VotingParts;
  /** The newest established view heard of, from its leader. */
  #known: ViewNumber = NO_NUMBER;
  /** A view of which its leader said that it does not lead it. */
  #leaderless: ViewNumber = NO_NUMBER;
  /** Highest counter seen in a refusal. */
  #counterSeen = 0;

  constructor(copy: Copy, parts: VotingParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  // ---- which views there are -------------------------------------------------------------------

  /** The newest view known to be established or recorded here. */
  get newest(): ViewNumber {
    const { number } = this.#copy.view;
    return compareNumbers(this.#known, number) > 0 ? this.#known : number;
  }

  /** The counter of a view above all that were heard of. */
  get nextCounter(): number {
    const { promised, view } = this.#copy;
    const heard = Math.max(this.#known.counter, this.#counterSeen);
    return Math.max(promised.counter, view.number.counter, heard) + 1;
  }

  /** A number above the view that this copy leads was promised by others. */
  get isOutbid(): boolean {
    return this.#counterSeen > this.#copy.view.number.counter;
  }

  /** Others have promised a number of this counter. */
  onCounter(counter: number): void {
    if (counter > this.#counterSeen) this.#counterSeen = counter;
  }

  /** A view is established, as its leader says. @returns whether it is newer than the one recorded here */
  onEstablished(number: ViewNumber): boolean {
    if (compareNumbers(number, this.#known) > 0) this.#known = number;
    if (compareNumbers(number, this.#copy.view.number) <= 0) return false;
    this.onCounter(number.counter);
    return true;
  }

  // ---- promises --------------------------------------------------------------------------------

  /** A voter refuses while it hears the leader of its view, except when that leader hands over. */
  #mayPromise(from: CopyId, handoverOf: ViewNumber): boolean {
    const { host, role, self, shard } = this.#copy;
    const current = this.newest;
    if (current.counter === 0 || current.leader === from) return true;
    if (sameNumber(current, handoverOf) || sameNumber(current, this.#leaderless)) return true;
    if (host.ended(current)) return true;
    // A process that has just started may have forgotten that it heard the leader.
    if (host.justBooted()) return false;
    if (current.leader === self) return role !== 'leader' && !this.#parts.formation.underWay;
    if (!host.heard(current.leader)) return true;
    // Its process is alive, but it may have lost the role without this copy hearing of it.
    host.send(current.leader, shard, { type: 'leading', number: current });
    return false;
  }

  /** Asked about a view: says so if it neither leads nor forms any more. */
  onLeading(from: CopyId, number: ViewNumber): void {
    const { host, role, shard } = this.#copy;
    if (role === 'leader' || this.#parts.formation.holds(number)) return;
    host.send(from, shard, { type: 'not-leading', number });
  }

  onNotLeading(number: ViewNumber): void {
    this.#leaderless = number;
  }

  onPrepare(from: CopyId, m: ShardMessage & { type: 'prepare' }): void {
    const copy = this.#copy;
    // Asked again: it is the same promise.
    if (sameNumber(m.number, copy.promised) && from === m.number.leader) {
      if (!sameNumber(m.number, copy.view.number)) this.#sendPromise(from, m.number);
      return;
    }
    const granted =
      compareNumbers(m.number, copy.promised) > 0 && this.#mayPromise(from, m.handoverOf);
    if (!granted) {
      copy.host.send(from, copy.shard, this.answer(m.number, false));
      return;
    }
    // A leader must not count this voter for its lease from now on; on one link this word overtakes no
    // heartbeat.
    for (const number of [copy.view.number, this.#known]) {
      const { leader } = number;
      if (leader !== from && leader !== copy.self && leader !== '')
        copy.refuse(leader, number, m.number);
    }
    this.#stepBack('promised to another');
    // A copy that promised gives the candidate time before it stands itself.
    this.#parts.maintenance.postpone(copy.host.nowMs() + copy.host.timings.formationTimeoutMs);
    this.#parts.learning.stop();
    copy.host.trace('promise');
    copy.promise(m.number);
    this.#sendPromise(from, m.number);
  }

  #stepBack(why: string): void {
    const { formation } = this.#parts;
    if (formation.underWay || this.#copy.role !== 'follower') formation.abandon(why);
  }

  #sendPromise(to: CopyId, number: ViewNumber): void {
    const copy = this.#copy;
    copy.host.batch.onDurable(() => {
      if (sameNumber(copy.promised, number) && !copy.loading)
        copy.host.send(to, copy.shard, this.answer(number, true));
    });
  }

  /** What this copy answers to a candidate of this number. */
  answer(number: ViewNumber, granted: boolean): Promised {
    const { checkpointIndex, contradiction, log, promised, valid, view } = this.#copy;
    return {
      type: 'promise',
      number,
      granted,
      promised,
      view,
      end: log.end,
      tailStart: log.tailStart,
      floor: checkpointIndex,
      valid: valid && contradiction === null,
      terms: log.terms,
    };
  }

  /** The link to a peer is new. */
  onLinkUp(id: CopyId): void {
    const { promised, view } = this.#copy;
    // What was said on the old link may be lost, and a lease must not outlive this promise.
    if (view.number.leader === id && compareNumbers(promised, view.number) > 0)
      this.#copy.refuse(id, view.number);
  }

  // ---- the view that a candidate has formed ----------------------------------------------------

  /** The candidate lacks the end of the chosen log: entries after `prev`, as far as one message goes. */
  onFetch(from: CopyId, m: ShardMessage & { type: 'fetch' }): void {
    const copy = this.#copy;
    if (!sameNumber(m.number, copy.promised)) return copy.refuse(from, m.number);
    readEntries(copy, m.prev, APPEND_BYTES_MAX, (entries) => {
      if (!sameNumber(m.number, copy.promised)) return;
      const { prev, number } = m;
      const { end } = copy.log;
      copy.host.send(from, copy.shard, { type: 'fetched', number, prev, end, entries });
    });
  }

  onInstall(from: CopyId, m: ShardMessage & { type: 'install' }): void {
    const copy = this.#copy;
    const { number } = m.view;
    if (compareNumbers(copy.promised, number) > 0) return copy.refuse(from, number);
    if (sameNumber(copy.view.number, number)) return;
    if (m.prev > copy.log.end || !copy.valid) return;
    const upto = m.prev + m.entries.length;
    if (upto > m.view.startIndex || m.prev < copy.checkpointIndex) return;
    const last = upto === m.view.startIndex;
    // A page of the starting log is taken as the candidate itself takes it over: under its promise.
    if (!last && !sameNumber(copy.promised, number)) return;
    if (!copy.mayCut(m.prev)) return;
    this.#parts.learning.stop();
    this.#stepBack('installing another view');
    copy.truncate(m.prev);
    const rebuilding = copy.loading;
    copy.accept(m.entries);
    if (!last) return;
    copy.adopt(m.view);
    this.#parts.maintenance.onView();
    copy.host.trace('install');
    const { end } = copy.log;
    copy.host.batch.onDurable(() => {
      if (!rebuilding) copy.durableUpTo(end);
      if (sameNumber(copy.promised, number))
        copy.host.send(from, copy.shard, { type: 'installed', number });
    });
  }

  onRecord(from: CopyId, view: View): void {
    const copy = this.#copy;
    const { number } = view;
    if (compareNumbers(copy.promised, number) > 0) return copy.refuse(from, number);
    this.#stepBack('recording another view');
    if (!sameNumber(copy.view.number, number)) {
      copy.adopt(view);
      this.#parts.maintenance.onView();
    }
    copy.host.batch.onDurable(() => {
      if (sameNumber(copy.promised, number))
        copy.host.send(from, copy.shard, { type: 'recorded', number });
    });
  }
}
