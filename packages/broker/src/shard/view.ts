/**
 * Views: the numbered agreement within a shard about who leads it and who must persist an entry.
 *
 * A copy is named by its CopyId, `name#storeId`: a node whose data folder was wiped comes back under
 * the same name as another copy, so it can neither vote nor count with what it has forgotten.
 */
import { checkFormat, NewerFormatError, type Reader, type Writer } from '../bytes.ts';

/** `name#storeId` of a member as the shard layer knows it. */
export type CopyId = string;

export function copyId(name: string, storeId: string): CopyId {
  return `${name}#${storeId}`;
}

export function nameOf(id: CopyId): string {
  return id.slice(0, id.lastIndexOf('#'));
}

/** A view's number, ordered by counter, then leader, then boot epoch; promised at most once. */
export interface ViewNumber {
  readonly counter: number;
  readonly leader: CopyId;
  readonly bootEpoch: number;
}

/**
 * A view as recorded on its active members and on a majority of its voters before it commits.
 *
 * While voters change, `oldVoters` holds the set that is left and every decision needs majorities of
 * both (joint consensus, Raft §6): the next view drops it.
 */
export interface View {
  readonly number: ViewNumber;
  readonly voters: readonly CopyId[];
  readonly oldVoters: readonly CopyId[];
  readonly active: readonly CopyId[];
  /** Last index of the starting log: entries of this view begin after it. */
  readonly startIndex: number;
}

export const NO_NUMBER: ViewNumber = { counter: 0, leader: '', bootEpoch: 0 };
export const NO_VIEW: View = {
  number: NO_NUMBER,
  voters: [],
  oldVoters: [],
  active: [],
  startIndex: 0,
};

export function compareNumbers(a: ViewNumber, b: ViewNumber): number {
  if (a.counter !== b.counter) return a.counter - b.counter;
  if (a.leader !== b.leader) return a.leader < b.leader ? -1 : 1;
  return a.bootEpoch - b.bootEpoch;
}

export function sameNumber(a: ViewNumber, b: ViewNumber): boolean {
  return (
    a === b || (a.counter === b.counter && a.bootEpoch === b.bootEpoch && a.leader === b.leader)
  );
}

/** Whether `have` holds more than half of `voters`; an empty set of voters asks for nothing. */
export function isMajority(voters: readonly CopyId[], have: (id: CopyId) => boolean): boolean {
  if (voters.length === 0) return true;
  let count = 0;
  for (const id of voters) if (have(id)) count++;
  return count * 2 > voters.length;
}

/** Majorities of the voters and, during a change of voters, of those that are left too. */
export function isQuorum(view: View, have: (id: CopyId) => boolean): boolean {
  return isMajority(view.voters, have) && isMajority(view.oldVoters, have);
}

/**
 * Fewest active copies with which a view of these voters may commit (`consistency: consistent`): the
 * cluster's setting, and one as long as a single voter decides.
 */
export function minCopies(voterCount: number, setting: number): number {
  return voterCount <= 1 ? 1 : setting;
}

export function writeNumber(w: Writer, n: ViewNumber): void {
  w.varint(n.counter);
  w.str(n.leader);
  w.varint(n.bootEpoch);
}

export function readNumber(r: Reader): ViewNumber {
  return { counter: r.varint(), leader: r.str(), bootEpoch: r.varint() };
}

/** Format version of a view record; the room for branches is its flags byte. */
const VIEW_VERSION = 1;

export function writeView(w: Writer, v: View): void {
  w.u8(VIEW_VERSION);
  w.u8(0);
  writeNumber(w, v.number);
  w.list(v.voters, (o, id) => o.str(id));
  w.list(v.oldVoters, (o, id) => o.str(id));
  w.list(v.active, (o, id) => o.str(id));
  w.varint(v.startIndex);
}

/** @throws BytesError on a malformed record, NewerFormatError on one of a later format */
export function readView(r: Reader): View {
  checkFormat('view record', r.u8(), VIEW_VERSION);
  if (r.u8() !== 0) throw new NewerFormatError('view record with flags of a later format');
  return {
    number: readNumber(r),
    voters: r.list((i) => i.str()),
    oldVoters: r.list((i) => i.str()),
    active: r.list((i) => i.str()),
    startIndex: r.varint(),
  };
}
