import assert from 'node:assert/strict';
import { entryKey } from '../../src/shard/keys.ts';
import type { CopyId, ViewNumber } from '../../src/shard/view.ts';
import { type Copies, entryOf, IDS, N1, N2, numberOf } from './copies.ts';
import { led, pass, said } from './steps.ts';

const N4: CopyId = 'n4#s';
const STATUS = { type: 'status', end: 0, floor: 0, valid: true, upto: 0, terms: [] } as const;

/** n1 leads, and n4, which placement wants, is asked what it has. */
function probes(limits?: Copies['limits']): { copies: Copies; number: ViewNumber } {
  const copies = led([...IDS, N4], limits);
  const n1 = copies.at(N1);
  copies.targets = [...IDS, N4];
  pass(copies, n1, 400);
  assert.equal(said(n1, 'probe', N4).length, 1);
  return { copies, number: n1.copy.view.number };
}

describe('bringing up a copy, step by step', () => {
  it('sends entries after the common prefix', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    const [learn] = said(n1, 'learn', N4);
    assert.deepEqual([learn?.prev, learn?.entries.length, learn?.commit], [0, 3, 3]);
  });

  it('sends a snapshot to a copy that holds entries which it cannot drop', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    const terms = [{ number: numberOf(4, N2), start: 1 }];
    n1.copy.onMessage(N4, { ...STATUS, number, end: 9, floor: 9, terms });
    n1.settle();
    assert.equal(said(n1, 'learn').length, 0);
    assert.equal(said(n1, 'snapshot', N4).length, 1);
  });

  it('does not hear an answer to the leader of another view', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number: numberOf(number.counter - 1) });
    n1.settle();
    assert.equal(said(n1, 'learn').length, 0);
  });

  it('has one message under way at a time', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    pass(copies, n1, 200);
    assert.equal(said(n1, 'learn').length, 1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    assert.equal(said(n1, 'learn').length, 1);
  });

  it('begins anew when a copy does not answer', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    pass(copies, n1, 3400);
    assert.equal(said(n1, 'probe', N4).length, 2);
    n1.copy.onMessage(N4, { type: 'learned', number, index: 3 });
    pass(copies, n1, 400);
    assert.deepEqual(n1.copy.view.active, IDS, 'the late answer is of the transfer before');
  });

  it('adds the copy to the view when it has all and answers in time', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    n1.copy.onMessage(N4, { type: 'learned', number, index: 3 });
    pass(copies, n1, 40);
    assert.equal(said(n1, 'prepare', N4).length, 1);
  });

  it('leaves a copy alone for a while that takes long for a little, and tells its node', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    pass(copies, n1, 900);
    n1.copy.onMessage(N4, { type: 'learned', number, index: 3 });
    assert.deepEqual(n1.slow, [N4]);
    pass(copies, n1, 900);
    assert.equal(said(n1, 'probe', N4).length, 1);
    pass(copies, n1, 700);
    assert.equal(said(n1, 'probe', N4).length, 2);
  });

  it('gives its turn to others when it has caught up', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    const terms = [{ number: numberOf(4, N2), start: 1 }];
    n1.copy.onMessage(N4, { ...STATUS, number, end: 9, floor: 9, terms });
    n1.settle();
    assert.equal(n1.copy.isMoving(N4), true);
    for (const seq of [0, 1]) {
      n1.copy.onMessage(N4, { type: 'snapshotted', number, seq });
      n1.settle();
    }
    assert.equal(n1.copy.isMoving(N4), false);
    assert.equal(n1.copy.endOf(N4), 3);
  });

  it('counts the time of an answer from when the entries were sent', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    pass(copies, n1, 1500);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    n1.copy.onMessage(N4, { type: 'learned', number, index: 3 });
    assert.deepEqual(n1.slow, []);
  });

  it('ends with the link: what was under way may be lost', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onLinkUp(N4);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    assert.equal(said(n1, 'learn').length, 0);
    pass(copies, n1, 400);
    assert.equal(said(n1, 'probe', N4).length, 2);
  });

  it('ends when placement wants the copy no more', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    copies.targets = IDS;
    pass(copies, n1, 400);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    assert.equal(said(n1, 'learn').length, 0);
  });

  it('waits its turn among the transfers to the same node', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.mayTransfer = false;
    const terms = [{ number: numberOf(4, N2), start: 1 }];
    n1.copy.onMessage(N4, { ...STATUS, number, end: 9, floor: 9, terms });
    pass(copies, n1, 200);
    assert.equal(said(n1, 'snapshot').length, 0);
    n1.mayTransfer = true;
    pass(copies, n1, 40);
    assert.equal(said(n1, 'snapshot').length, 1);
  });

  describe('by a snapshot', () => {
    /** n4 has nothing that is of use. */
    function snapshot() {
      const { copies, number } = probes();
      const n1 = copies.at(N1);
      const terms = [{ number: numberOf(4, N2), start: 1 }];
      n1.copy.onMessage(N4, { ...STATUS, number, end: 9, floor: 9, terms });
      n1.settle();
      return { copies, n1, number };
    }

    it('sends the next part for the answer to this one alone', () => {
      const { n1, number } = snapshot();
      n1.copy.onMessage(N4, { type: 'snapshotted', number, seq: 7 });
      n1.settle();
      assert.equal(said(n1, 'snapshot').length, 1);
      n1.copy.onMessage(N4, { type: 'snapshotted', number, seq: 0 });
      n1.settle();
      const [state, live] = said(n1, 'snapshot', N4);
      assert.deepEqual([state?.last, live?.last], [false, true]);
      assert.deepEqual(live?.entries.length, 3);
    });

    it('leaves out an entry that was let go meanwhile', () => {
      const { n1, number } = snapshot();
      n1.change(entryKey(0, 2), null);
      n1.copy.onMessage(N4, { type: 'snapshotted', number, seq: 0 });
      n1.settle();
      assert.equal(said(n1, 'snapshot', N4)[1]?.entries.length, 2);
    });

    it('gives leadership away when an entry is damaged on its disk', () => {
      const { n1, number } = snapshot();
      n1.change(entryKey(0, 2), Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
      n1.copy.onMessage(N4, { type: 'snapshotted', number, seq: 0 });
      n1.settle();
      assert.equal(n1.copy.valid, false);
      assert.equal(n1.copy.role, 'follower');
      assert.equal(said(n1, 'handover').length, 1);
    });

    it('goes on with the entries after it', () => {
      const { copies, n1, number } = snapshot();
      copies.propose(n1, 'later');
      for (const seq of [0, 1]) {
        n1.copy.onMessage(N4, { type: 'snapshotted', number, seq });
        n1.settle();
      }
      const [learn] = said(n1, 'learn', N4);
      assert.deepEqual([learn?.prev, learn?.entries.length], [3, 1]);
    });
  });

  it('is outrun when what the copy lacks is gone from the disk', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    for (let i = 0; i < 9; i++) copies.propose(n1, 'x');
    n1.turn();
    for (const id of IDS) n1.copy.onMessage(id, { type: 'appended', number, index: 12 });
    pass(copies, n1, 60);
    for (let i = 1; i <= 3; i++) n1.change(entryKey(0, i), null);
    n1.copy.onMessage(N4, { ...STATUS, number });
    n1.settle();
    assert.equal(said(n1, 'learn').length, 0);
    pass(copies, n1, 400);
    assert.equal(said(n1, 'probe', N4).length, 1, 'it is left alone for a while');
  });

  it('takes what is not of its log as no entries of it', () => {
    const { copies, number } = probes();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N4, {
      type: 'learn',
      number,
      prev: 3,
      commit: 3,
      entries: [entryOf(4, number)],
    });
    assert.equal(n1.copy.log.end, 3);
  });
});
