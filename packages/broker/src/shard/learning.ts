/**
 * The learner's side of bringing a copy up to date: entries that follow its own, or a snapshot that
 * replaces its log.
 *
 * It takes data of the highest number that it knows, and says that it has it when it is durable.
 */
import { BytesError } from '../bytes.ts';
import type { Copy } from './copy.ts';
import { entryKey } from './keys.ts';
import { decodeEntry } from './log.ts';
import type { ShardMessage } from './message.ts';
import { dropPartial, keepLive, putPartial, readPartial } from './partial.ts';
import type { Receiving } from './procedures.ts';
import type { Partial } from './record.ts';
import { type CopyId, compareNumbers, sameNumber, type ViewNumber } from './view.ts';

/** Entries deleted at a time, and bytes of them read for it. */
const WIPE_PAGE = 1024;
const WIPE_BYTES = 256 * 1024;

type Part = ShardMessage & { type: 'snapshot' };

/** What learning asks of the other parts of a replica. */
export interface LearningParts {
  readonly postponed: { keep(from: CopyId, message: ShardMessage): void };
}

export class Learning {
  readonly #copy: Copy;
  readonly #parts: LearningParts;
  /** The snapshot under way; while there is one the copy is not valid. */
  #receiving: Receiving | null = null;
  /** What this copy last said that it has of an interrupted snapshot. */
  #partial: Partial | null = null;

  constructor(copy: Copy, parts: LearningParts) {
    this.#copy = copy;
    this.#parts = parts;
  }

  /** A snapshot is under way. */
  get receives(): boolean {
    return this.#receiving !== null;
  }

  /** Takes nothing more of the snapshot under way. */
  stop(): void {
    this.#receiving = null;
  }

  /** A learner takes data from the leader of the highest number it knows only. */
  #mayLearn(from: CopyId, number: ViewNumber): boolean {
    const { contradiction, promised, role, self, view } = this.#copy;
    if (compareNumbers(promised, number) > 0) {
      this.#copy.refuse(from, number);
      return false;
    }
    if (contradiction !== null) return false;
    const installed = sameNumber(view.number, number) && this.#copy.isActive(self);
    return !installed && compareNumbers(view.number, number) <= 0 && role === 'follower';
  }

  /**
   * What is learned is of this view: a leader of an earlier one, which does not know yet that there is a
   * later, brings nothing any more. Durable with what is learned.
   */
  #learnsFrom(number: ViewNumber): void {
    if (compareNumbers(this.#copy.promised, number) < 0) this.#copy.promise(number);
  }

  onProbe(from: CopyId, number: ViewNumber): void {
    const copy = this.#copy;
    if (!this.#mayLearn(from, number)) return;
    this.stop();
    const { end, terms } = copy.log;
    const floor = copy.checkpointIndex;
    const status = { type: 'status', number, floor, valid: copy.valid } as const;
    if (copy.valid) return copy.host.send(from, copy.shard, { ...status, end, terms, upto: 0 });
    readPartial(copy, (partial) => {
      if (copy.valid || this.#receiving || copy.loading || !this.#mayLearn(from, number)) return;
      this.#partial = partial;
      const { index, upto } = partial ?? { index: 0, upto: 0 };
      const known = { end: index, terms: partial?.terms ?? [], upto };
      copy.host.send(from, copy.shard, { ...status, ...known });
    });
  }

  onLearn(from: CopyId, m: ShardMessage & { type: 'learn' }): void {
    const copy = this.#copy;
    if (!this.#mayLearn(from, m.number) || !copy.valid) return;
    if (m.prev > copy.log.end || m.prev < copy.checkpointIndex || !copy.mayCut(m.prev)) return;
    copy.truncate(m.prev);
    if (copy.loading) return this.#parts.postponed.keep(from, m);
    this.#learnsFrom(m.number);
    copy.accept(m.entries);
    copy.learnCommit(m.commit);
    const index = copy.log.end;
    copy.host.batch.onDurable(() => {
      copy.durableUpTo(index);
      copy.host.send(from, copy.shard, { type: 'learned', number: m.number, index });
    });
  }

  // ---- a snapshot ------------------------------------------------------------------------------

  onSnapshot(from: CopyId, m: Part): void {
    if (!this.#mayLearn(from, m.number)) return;
    // Read here, where what cannot be read ends the link: it is taken later, where it would end more.
    for (const bytes of m.entries) decodeEntry(bytes);
    if (m.seq === 0) return this.#begin(from, m);
    const receiving = this.#receiving;
    if (!receiving?.wiped || receiving.seq !== m.seq || !sameNumber(receiving.number, m.number))
      return;
    this.#take(receiving, m);
  }

  #begin(from: CopyId, m: Part): void {
    const copy = this.#copy;
    const common = copy.log.commonPrefix(m.terms, m.index);
    if (common >= 0 && !copy.mayCut(common)) return;
    const { number, index, terms } = m;
    const upto = m.from;
    if (upto > 0 && (copy.valid || upto > (this.#partial?.upto ?? 0))) return;
    const receiving: Receiving = { number, from, index, seq: 0, wiped: false, state: [], upto };
    this.#receiving = receiving;
    putPartial(copy, { index, upto, terms });
    copy.discard();
    this.#learnsFrom(number);
    copy.host.batch.onDurable(() =>
      this.#wipe(receiving, () => {
        receiving.wiped = true;
        this.#take(receiving, m);
      }),
    );
  }

  /**
   * Deletes what the copy held, but for what it has of this snapshot already: a newer view without it is
   * established, so nothing depends on it.
   */
  #wipe(receiving: Receiving, done: () => void): void {
    const { host, shard } = this.#copy;
    const lt = entryKey(shard, 2 ** 48 - 1);
    const gte = entryKey(shard, receiving.upto + 1);
    host.store.scan(gte, lt, WIPE_PAGE, WIPE_BYTES, (records, more) => {
      if (this.#receiving !== receiving) return;
      for (const record of records) host.batch.put(record.key, null);
      if (!more) return done();
      host.batch.onDurable(() => this.#wipe(receiving, done));
    });
  }

  #take(receiving: Receiving, m: Part): void {
    const { host, shard } = this.#copy;
    receiving.seq = m.seq + 1;
    if (m.state.length > 0) receiving.state.push(m.state);
    for (const bytes of m.entries) {
      receiving.upto = decodeEntry(bytes).index;
      host.batch.put(entryKey(shard, receiving.upto), bytes);
    }
    if (m.last) return this.#complete(receiving, m);
    if (m.entries.length > 0)
      putPartial(this.#copy, { index: m.index, upto: receiving.upto, terms: m.terms });
    this.#acknowledge(receiving, m.seq);
  }

  #acknowledge({ from, number }: Receiving, seq: number): void {
    const { host, shard } = this.#copy;
    host.batch.onDurable(() => host.send(from, shard, { type: 'snapshotted', number, seq }));
  }

  #complete(receiving: Receiving, m: Part): void {
    const { host, machine, shard } = this.#copy;
    try {
      machine.restore(Buffer.concat(receiving.state));
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      // The copy stays invalid; the leader gets no answer, and begins anew.
      machine.reset();
      this.stop();
      return host.trace('snapshot-unreadable', { shard, why: e.message });
    }
    const end = (whole: boolean): void => {
      this.stop();
      dropPartial(this.#copy);
      // What was noted of the part before is not so: all of it is sent again.
      if (!whole) return host.trace('partial-broken', { shard });
      this.#partial = null;
      this.#copy.restore(m.index, m.commit, m.terms);
      this.#acknowledge(receiving, m.seq);
    };
    if (m.from === 0) return end(true);
    keepLive(this.#copy, m.from, () => this.#receiving === receiving, end);
  }
}
