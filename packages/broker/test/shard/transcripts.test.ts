/** Golden texts of what copies of a shard do; the copies are on hosts without a network. */
import assert from 'node:assert/strict';
import type { CopyId } from '../../src/shard/view.ts';
import { itTells } from '../golden.ts';
import { Copies, IDS, N1, N2, N3, numberOf, viewOf } from './copies.ts';
import { Transcript } from './transcript.ts';

const OLD = numberOf(5);
/** Until what is said last has been heard. */
const SETTLE_MS = 60;
const N4: CopyId = 'n4#s';

interface Scene {
  readonly copies: Copies;
  readonly told: Transcript;
  /** Runs until this is true, or fails. */
  until(condition: () => boolean): void;
  /** The leader appends these, and they commit, or are to be lost. */
  propose(by: CopyId, ...texts: string[]): void;
  /** Until all three are active again and have the same: the end of the text. */
  whole(): Transcript;
}

/** n1 leads n2 and n3, all with three entries. */
function scene(ids: readonly CopyId[] = IDS, limits?: Copies['limits']): Scene {
  const copies = new Copies(ids);
  if (limits) copies.limits = limits;
  copies.ended = ({ bootEpoch, counter, leader }) =>
    counter <= OLD.counter || bootEpoch < copies.at(leader).bootEpoch;
  copies.begin(viewOf(OLD, [N1, N2, N3], 0), 3);
  const { copy } = copies.at(N1);
  assert.ok(copies.run(2000, () => copy.role === 'leader' && copy.view.active.length === 3));
  copies.run(400);
  const told = new Transcript(copies);
  const until = (condition: () => boolean) => assert.ok(copies.run(20_000, condition), told.text);
  return {
    copies,
    told,
    until,
    propose: (by, ...texts) => {
      for (const text of texts) copies.propose(copies.at(by), text);
    },
    whole: () => {
      until(() => copies.leader?.copy.view.active.length === 3);
      copies.run(SETTLE_MS);
      const [list, ...others] = IDS.map((id) => copies.at(id).state.list);
      for (const other of others) assert.deepEqual(other, list);
      told.all();
      return told;
    },
  };
}

/** n3 is down, and comes back once the others have committed these. */
function catchUp(limits: Copies['limits'] | undefined, texts: readonly string[], how: string[]) {
  const { copies, told, until, propose, whole } = scene(IDS, limits);
  const [down, back] = how as [string, string];
  told.step(down);
  copies.kill(N3);
  until(() => copies.leader?.copy.view.active.length === 2);
  propose(N1, ...texts);
  until(() => copies.leader?.copy.commit === 3 + texts.length);
  // The whole log is still there where it is sent, or is not.
  assert.equal(copies.at(N1).copy.log.tailStart > 3, limits !== undefined);
  told.step(back);
  copies.restart(N3);
  return whole();
}

const cases: Record<string, () => Transcript> = {
  election: () => {
    const { copies, told, until } = scene();
    told.step('n1 ends: the next in the order of placement stands, and leads with n3');
    copies.kill(N1);
    until(() => copies.leader?.id === N2);
    copies.run(SETTLE_MS);
    return told;
  },

  'truncation of a returning copy': () => {
    const { copies, told, until, propose, whole } = scene();
    told.step('n1 appends what reaches no other copy, and ends');
    copies.loses = (from) => from === N1;
    propose(N1, 'lost');
    copies.at(N1).turn();
    copies.deliver();
    copies.kill(N1);
    copies.loses = () => false;
    told.step('n2 leads, and appends something else');
    until(() => copies.leader?.id === N2);
    propose(N2, 'kept');
    until(() => copies.leader?.copy.commit === 4);
    told.step('n1 comes back: its entry 4 is of a view that did not commit it');
    copies.restart(N1);
    return whole();
  },

  'catch-up by the tail': () =>
    catchUp(
      undefined,
      ['a', 'b', 'c', 'd'],
      [
        'n3 ends; the others go on without it',
        'n3 comes back: the entries that it lacks follow its own',
      ],
    ),

  'catch-up by a snapshot': () =>
    catchUp(
      { checkpointEvery: 4, tailKeep: 0 },
      ['a', 'b', 'c', 'd', 'e', 'f'],
      [
        'n3 ends; the others go on without it, and write a checkpoint',
        'n3 comes back: the log is not complete any more where its own ends',
      ],
    ),

  'joint voters': () => {
    const { copies, told, until } = scene([...IDS, N4]);
    told.step(
      'placement wants n4 instead of n3: n4 is brought up, then both sets of voters decide',
    );
    copies.targets = [N1, N2, N4];
    copies.voters = [N1, N2, N4];
    copies.settled = true;
    const done = () => {
      const { view } = copies.at(N1).copy;
      return view.voters.includes(N4) && view.oldVoters.length === 0;
    };
    until(() => copies.leader !== undefined && done());
    copies.run(SETTLE_MS);
    told.all();
    return told;
  },

  'hand-over': () => {
    const { copies, told, until, propose } = scene();
    told.step('placement prefers n2: n1 waits until n2 has all, and asks it to lead');
    copies.run(1000);
    copies.targets = [N2, N1, N3];
    copies.settled = true;
    propose(N1, 'last');
    until(() => copies.leader?.id === N2);
    copies.run(SETTLE_MS);
    told.all();
    return told;
  },

  'a fenced leader that wakes': () => {
    const { copies, told, until, propose, whole } = scene();
    told.step('the process of n1 stands still: n2 leads without it');
    copies.at(N1).paused = true;
    until(() => copies.at(N2).copy.role === 'leader');
    propose(N2, 'kept');
    until(() => copies.at(N2).copy.commit === 4);
    told.step('n1 wakes, and still believes that it leads: no copy takes what it appends');
    propose(N1, 'fenced');
    copies.wake(N1);
    until(() => copies.at(N1).copy.role === 'follower');
    assert.equal(copies.at(N1).copy.commit, 3);
    told.step('n1 is brought up as a learner of the new view');
    until(() => copies.leader?.id === N2);
    whole();
    assert.deepEqual(copies.at(N1).state.list, ['e1', 'e2', 'e3', 'kept']);
    return told;
  },

  'a link that is lost in mid-flight': () => {
    const { copies, told, until, propose } = scene();
    told.step('what n1 sends to n3 is lost, for less than the silence');
    let lost = 0;
    copies.loses = (from, to) => from === N1 && to === N3 && lost++ < 1;
    propose(N1, 'a');
    until(() => copies.at(N2).copy.log.end === 4);
    told.step('the link comes up anew: what was in flight is sent again');
    copies.loses = () => false;
    copies.link(N3);
    until(() => copies.at(N1).copy.commit === 4);
    copies.run(SETTLE_MS);
    told.all();
    return told;
  },
};

describe('transcripts of a shard', () => {
  itTells(new URL('transcripts/', import.meta.url), cases);
});
