/**
 * The steady path: a leader appends and sends, active copies store and acknowledge, and what all of them
 * have is committed.
 *
 * A leader counts its own copy only when that is durable; an acknowledgement is sent when what it says
 * is. Entries come from memory, or from disk for a copy that is behind.
 */
import type { Writer } from '../bytes.ts';
import type { Copy } from './copy.ts';
import { encodeEntry } from './log.ts';
import type { ShardMessage } from './message.ts';
import { APPEND_BYTES_MAX, readEntries } from './read.ts';
import { type CopyId, compareNumbers, sameNumber, type View, type ViewNumber } from './view.ts';

/** An active copy that lags by more entries than this, and more than memory holds, is dropped. */
const LAG_ENTRIES_MAX = 8192;
/** Bytes of entries that stay in memory for copies that are behind, where the node sets no bound. */
const KEEP_BYTES = 64 * 1024;

export class Appending {
  readonly #copy: Copy;
  /** Last durable index of each other active copy, and last index sent to it. */
  readonly #match = new Map<CopyId, number>();
  readonly #sent = new Map<CopyId, number>();
  #commitSent = 0;
  /** Active copies for which the next entries are being read from disk. */
  readonly #reading = new Set<CopyId>();
  /** Active copies whose missing entries are too many, or gone: dropped at the next maintenance. */
  readonly #lagging = new Set<CopyId>();
  /** Active copies that broke their word: dropped, or made anew, at the next maintenance. */
  readonly #broken = new Set<CopyId>();
  readonly #witnesses = new Set<CopyId>();
  #leaseKey = '';

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  /** Voters that have the record of this view, and so refuse other candidates for its sake. */
  get witnesses(): ReadonlySet<CopyId> {
    return this.#witnesses;
  }

  /** Equal for views whose leader lease depends on the same voters and witnesses. */
  get leaseKey(): string {
    if (this.#leaseKey === '') {
      const { voters, oldVoters } = this.#copy.view;
      const sets = [voters, oldVoters, [...this.#witnesses]];
      this.#leaseKey = sets.map((ids) => ids.join()).join('/');
    }
    return this.#leaseKey;
  }

  // ---- what the leader knows of the others -----------------------------------------------------

  /** The view is established: its active copies have the starting log. */
  begin({ active, startIndex }: View, witnesses: Iterable<CopyId>): void {
    this.#witnesses.clear();
    this.#leaseKey = '';
    for (const id of witnesses) this.#witnesses.add(id);
    this.#match.clear();
    this.#sent.clear();
    this.#lagging.clear();
    this.#broken.clear();
    for (const id of active) {
      if (id === this.#copy.self) continue;
      this.#match.set(id, startIndex);
      this.#sent.set(id, startIndex);
    }
  }

  /** One more voter has the record of this view. */
  witness(id: CopyId): void {
    this.#witnesses.add(id);
    this.#leaseKey = '';
  }

  /** An active copy is not whole: nothing counts on it until a new view has made it anew. */
  distrust(id: CopyId): void {
    this.#broken.add(id);
  }

  isBroken(id: CopyId): boolean {
    return this.#broken.has(id);
  }

  /** An active copy that lags beyond what it can be sent, or is not whole. */
  isLost(id: CopyId): boolean {
    return this.#lagging.has(id) || this.#broken.has(id);
  }

  /** Last durable index of another active copy, null if it is not known. */
  endOf(id: CopyId): number | null {
    return this.#match.get(id) ?? null;
  }

  /** The copy has all of the log, durable. */
  hasAll(id: CopyId): boolean {
    return this.#match.get(id) === this.#copy.log.end;
  }

  /** The copy was sent entries that it has not acknowledged. */
  awaits(id: CopyId): boolean {
    return (this.#sent.get(id) ?? 0) > (this.#match.get(id) ?? 0);
  }

  /** The last entry, `unused` at most, that no active copy is to be sent from memory. */
  unneeded(unused: number): number {
    const { host, log, self, view } = this.#copy;
    let upTo = unused;
    for (const id of view.active) {
      if (id !== self) upTo = Math.min(upTo, this.#match.get(id) ?? 0);
    }
    // A copy that stays behind is sent the rest from disk instead of holding memory.
    const most = Math.max(host.keepBytes ?? KEEP_BYTES, KEEP_BYTES);
    return Math.max(upTo, Math.min(unused, log.lastBefore(LAG_ENTRIES_MAX, most)));
  }

  // ---- the leader ------------------------------------------------------------------------------

  /**
   * Appends an operation and applies it. Only while {@link Replica.canPropose}.
   *
   * @returns the entry's index; it counts once `commit` has reached it
   */
  propose(hlc: number, writeOperation: (w: Writer) => void, operation: unknown): number {
    const copy = this.#copy;
    const entry = encodeEntry(copy.log.end + 1, copy.view.number, hlc, writeOperation);
    copy.append(entry, operation);
    copy.host.dirty(copy.shard);
    return entry.index;
  }

  /** End of turn: sends what was appended to the active copies and counts it when durable. */
  flush(): void {
    const copy = this.#copy;
    if (copy.role !== 'leader') return;
    const { end } = copy.log;
    for (const id of copy.view.active) if (id !== copy.self) this.#send(id);
    if (copy.durable < end) {
      const { number } = copy.view;
      copy.host.batch.onDurable(() => {
        if (copy.role !== 'leader' || !sameNumber(number, copy.view.number)) return;
        copy.durableUpTo(end);
        this.advance();
      });
    }
  }

  /** Commits what every active copy has made durable. */
  advance(): void {
    const copy = this.#copy;
    let index = copy.durable;
    if (this.#broken.size > 0) return;
    for (const id of copy.view.active) {
      if (id === copy.self) continue;
      const at = this.#match.get(id) ?? 0;
      if (at < index) index = at;
    }
    if (index > copy.commit) {
      copy.commitUpTo(index);
      copy.host.onCommitted(copy.shard);
    }
  }

  onAppended(from: CopyId, m: ShardMessage & { type: 'appended' }): void {
    const { host, role, shard, view } = this.#copy;
    if (role !== 'leader' || !sameNumber(m.number, view.number)) return;
    if (this.#broken.has(from)) return;
    const before = this.#match.get(from) ?? 0;
    if (m.index < before) {
      // It has less than it acknowledged: a broken promise. Nothing counts on it from now on.
      host.trace('broken', { shard, index: m.index, match: before });
      this.distrust(from);
      host.send(from, shard, { type: 'short', number: m.number, index: before });
    } else if (m.index > before) {
      this.#match.set(from, m.index);
      this.advance();
    } else if (m.index < (this.#sent.get(from) ?? 0) && m.index === before) {
      this.#sent.set(from, m.index);
      host.dirty(shard);
    }
  }

  /** There is room again for what is sent to this copy. */
  onDrained(id: CopyId): void {
    if (this.#copy.role === 'leader' && this.#copy.isActive(id)) this.#send(id);
  }

  /** The link to a peer is new: what was in flight on the old one is sent again. */
  onLinkUp(id: CopyId): void {
    const { host, role, shard, view } = this.#copy;
    if (role !== 'leader') return;
    // A voter may have recorded another leader's view meanwhile. It refuses this one before it answers a
    // heartbeat on this link, so that no lease counts on it; any other says once more that it has the record.
    if (view.voters.includes(id) || view.oldVoters.includes(id))
      host.send(id, shard, { type: 'record', view });
    if (!view.active.includes(id)) return;
    this.#sent.set(id, Math.max(this.#match.get(id) ?? 0, view.startIndex));
    host.dirty(shard);
  }

  /** Followers learn of the last commit without waiting for the next append. */
  announceCommit(): void {
    const { commit, host, role, self, shard, view } = this.#copy;
    if (role !== 'leader' || commit <= this.#commitSent) return;
    this.#commitSent = commit;
    const { number } = view;
    for (const id of view.active) {
      if (id === self || !host.heard(id)) continue;
      const prev = this.#sent.get(id) ?? view.startIndex;
      host.send(id, shard, { type: 'append', number, prev, commit, entries: [] });
    }
  }

  /** Sends what the copy has not been sent, as far as there is room on the way to it. */
  #send(id: CopyId): void {
    const { commit, host, log, shard, view } = this.#copy;
    let sent = this.#sent.get(id) ?? view.startIndex;
    while (sent < log.end && !host.full?.(id)) {
      const entries: Uint8Array[] = [];
      let bytes = 0;
      const prev = sent;
      while (sent < log.end && bytes < APPEND_BYTES_MAX) {
        const entry = log.get(sent + 1);
        if (!entry) break;
        entries.push(entry.bytes);
        bytes += entry.bytes.length;
        sent++;
      }
      if (entries.length === 0) return this.#sendFromDisk(id, sent);
      this.#sent.set(id, sent);
      host.trace('append');
      host.send(id, shard, { type: 'append', number: view.number, prev, commit, entries });
    }
  }

  /** The next entries are older than memory. */
  #sendFromDisk(id: CopyId, prev: number): void {
    const copy = this.#copy;
    if (copy.log.end - prev > LAG_ENTRIES_MAX) {
      // It lags so far that it is caught up as a learner instead.
      copy.host.trace('append-too-far');
      this.#lagging.add(id);
      return;
    }
    if (this.#reading.has(id)) return;
    this.#reading.add(id);
    const { number } = copy.view;
    readEntries(copy, prev, APPEND_BYTES_MAX, (entries) => {
      this.#reading.delete(id);
      if (copy.role !== 'leader' || !copy.isActive(id)) return;
      copy.host.dirty(copy.shard);
      const at = this.#sent.get(id) ?? copy.view.startIndex;
      if (!sameNumber(number, copy.view.number) || at !== prev) return;
      if (entries.length === 0) {
        this.#lagging.add(id);
        return;
      }
      copy.host.trace('append');
      this.#sent.set(id, prev + entries.length);
      const { commit } = copy;
      copy.host.send(id, copy.shard, { type: 'append', number, prev, commit, entries });
    });
  }

  // ---- the other active copies -----------------------------------------------------------------

  onAppend(from: CopyId, m: ShardMessage & { type: 'append' }): void {
    const copy = this.#copy;
    if (!sameNumber(m.number, copy.promised) || !sameNumber(m.number, copy.view.number)) {
      if (compareNumbers(copy.promised, m.number) > 0) copy.refuse(from, m.number);
      return;
    }
    if (!copy.valid) {
      copy.host.send(from, copy.shard, { type: 'broken', number: m.number });
      return;
    }
    // A gap: the leader goes on from what is here.
    if (m.prev > copy.log.end) return this.#acknowledge(from, m.number, copy.durable);
    copy.accept(m.entries);
    const { end } = copy.log;
    copy.learnCommit(m.commit);
    if (m.entries.length === 0) return;
    copy.host.batch.onDurable(() => {
      copy.durableUpTo(end);
      if (sameNumber(m.number, copy.promised)) this.#acknowledge(from, m.number, end);
    });
  }

  #acknowledge(to: CopyId, number: ViewNumber, index: number): void {
    this.#copy.host.send(to, this.#copy.shard, { type: 'appended', number, index });
  }
}
