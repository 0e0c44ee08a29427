import assert from 'node:assert/strict';
import { entryKey } from '../../src/shard/keys.ts';
import { entryOf, type Machine, N1, N2, N3, numberOf, viewOf } from './copies.ts';
import { begun, OLD, said } from './steps.ts';

const LATER = numberOf(8, N2);
const TERMS = [
  { number: OLD, start: 1 },
  { number: LATER, start: 4 },
];

/** n3 holds three entries of view 5, and is no copy of view 8, which n2 leads. */
function learner(): Machine {
  const n3 = begun().at(N3);
  n3.copy.onMessage(N2, { type: 'record', view: viewOf(LATER, [N1, N2], 3) });
  n3.turn();
  n3.sent.length = 0;
  return n3;
}

/** One that has applied an entry 4 of view 5, which was never committed. */
function diverged(): Machine {
  const n3 = begun().at(N3);
  const entries = [entryOf(4, OLD)];
  n3.copy.onMessage(N1, { type: 'append', number: OLD, prev: 3, commit: 3, entries });
  n3.copy.onMessage(N2, { type: 'record', view: viewOf(LATER, [N1, N2], 3) });
  n3.turn();
  n3.sent.length = 0;
  return n3;
}

const learn = { type: 'learn', number: LATER, prev: 3, commit: 3 } as const;
const part = { type: 'snapshot', number: LATER, seq: 0, index: 5, commit: 5, from: 0 } as const;
const empty = new Uint8Array(0);
const state = Buffer.from('["e1","e2","e3","e4","e5"]');

describe('a learner, step by step', () => {
  it('says that it has what it is sent when that is durable', () => {
    const n3 = learner();
    n3.stalled = true;
    n3.copy.onMessage(N2, { ...learn, entries: [entryOf(4, LATER)] });
    n3.turn();
    assert.equal(said(n3, 'learned').length, 0);
    n3.stalled = false;
    n3.turn();
    assert.deepEqual(said(n3, 'learned', N2), [{ type: 'learned', number: LATER, index: 4 }]);
  });

  it('leaves entries that do not follow its own', () => {
    const n3 = learner();
    n3.copy.onMessage(N2, { ...learn, prev: 4, entries: [entryOf(5, LATER)] });
    n3.turn();
    assert.equal(n3.copy.log.end, 3);
    assert.equal(said(n3, 'learned').length, 0);
  });

  it('takes what its machine has to be rebuilt for when that is done', () => {
    const n3 = diverged();
    n3.copy.onMessage(N2, { ...learn, entries: [entryOf(4, LATER)] });
    const rebuilt = n3.copy.loading;
    n3.turn();
    assert.deepEqual([rebuilt, n3.copy.loading], [true, false]);
    assert.deepEqual(said(n3, 'learned', N2), [{ type: 'learned', number: LATER, index: 4 }]);
    assert.deepEqual(n3.copy.log.terms, TERMS);
  });

  it('answers what was asked while its machine was rebuilt, in order, and the last of each kind', () => {
    const n3 = diverged();
    n3.copy.onMessage(N2, { ...learn, entries: [entryOf(4, LATER)] });
    const later = numberOf(9, N1);
    n3.copy.onMessage(N2, { type: 'probe', number: LATER });
    n3.copy.onMessage(N1, { type: 'record', view: viewOf(later, [N1, N2], 4) });
    n3.copy.onMessage(N1, { type: 'probe', number: later });
    assert.equal(n3.sent.length, 0);
    n3.turn();
    assert.equal(said(n3, 'recorded', N1).length, 1);
    assert.equal(said(n3, 'status', N1).length, 1);
    assert.equal(said(n3, 'status', N2).length, 0);
  });

  it('drops no entry that it knows to be committed', () => {
    const n3 = learner();
    n3.copy.onMessage(N2, { ...learn, prev: 2, entries: [entryOf(3, LATER)] });
    assert.equal(n3.copy.log.end, 3);
    assert.equal(n3.complaints[0]?.[0], 'contradiction');
  });

  it('refuses a leader of a lower number than it has promised', () => {
    const n3 = learner();
    n3.copy.onMessage(N1, { type: 'probe', number: OLD });
    n3.copy.onMessage(N1, { ...learn, number: OLD, entries: [] });
    assert.equal(said(n3, 'refused', N1).length, 2);
    assert.equal(said(n3, 'status').length, 0);
  });

  it('is no learner of a view in which it is active', () => {
    const n3 = begun().at(N3);
    n3.copy.onMessage(N1, { type: 'probe', number: OLD });
    assert.equal(said(n3, 'status').length, 0);
  });

  it('promises the number of the view that it learns from', () => {
    const n3 = learner();
    const number = numberOf(9, N1);
    n3.copy.onMessage(N1, { ...learn, number, entries: [entryOf(4, number)] });
    assert.equal(n3.copy.promised.counter, 9);
  });

  it('does not say what it has once it has promised a higher number', () => {
    const n3 = learner();
    n3.copy.onMessage(N2, { ...part, terms: TERMS, state, entries: [], last: false });
    n3.turn();
    n3.copy.onMessage(N2, { type: 'probe', number: LATER });
    const number = numberOf(9, N1);
    n3.copy.onMessage(N1, { type: 'prepare', number, handoverOf: LATER });
    n3.settle();
    assert.equal(said(n3, 'status').length, 0);
  });

  describe('takes a snapshot', () => {
    const first = { ...part, terms: TERMS, state, entries: [], last: false };

    it('part by part, and counts again with the last', () => {
      const n3 = learner();
      n3.copy.onMessage(N2, first);
      n3.turn();
      assert.equal(n3.copy.valid, false);
      const entries = [1, 2, 3, 4, 5].map((i) => entryOf(i, i < 4 ? OLD : LATER));
      n3.copy.onMessage(N2, { ...first, seq: 1, state: empty, entries, last: true });
      n3.turn();
      assert.equal(n3.copy.valid, true);
      assert.deepEqual([n3.copy.log.end, n3.copy.commit], [5, 5]);
      assert.ok(entries[4] && Buffer.from(entries[4]).equals(n3.read(entryKey(0, 5))!));
      assert.deepEqual(
        said(n3, 'snapshotted').map(({ seq }) => seq),
        [0, 1],
      );
    });

    it('and leaves a part that does not follow', () => {
      const n3 = learner();
      n3.copy.onMessage(N2, first);
      n3.turn();
      n3.copy.onMessage(N2, { ...first, seq: 2, state: empty, last: true });
      n3.turn();
      assert.equal(n3.copy.valid, false);
      assert.equal(said(n3, 'snapshotted').length, 1);
    });

    it('and a part of another leader', () => {
      const n3 = learner();
      n3.copy.onMessage(N2, first);
      n3.turn();
      const number = numberOf(9, N1);
      n3.copy.onMessage(N1, { ...first, number, seq: 1, state: empty, last: true });
      n3.turn();
      assert.equal(n3.copy.valid, false);
    });

    it('and takes no second part before the old log is gone from its disk', () => {
      const n3 = learner();
      n3.stalled = true;
      n3.copy.onMessage(N2, first);
      n3.turn();
      n3.copy.onMessage(N2, { ...first, seq: 1, state: empty, last: true });
      n3.stalled = false;
      n3.turn();
      assert.equal(n3.copy.valid, false);
    });

    it('and is asked anew: what was under way ends, and what it has is told', () => {
      const n3 = learner();
      n3.copy.onMessage(N2, first);
      n3.turn();
      const entries = [entryOf(1, OLD), entryOf(2, OLD)];
      n3.copy.onMessage(N2, { ...first, seq: 1, state: empty, entries });
      n3.turn();
      n3.copy.onMessage(N2, { type: 'probe', number: LATER });
      n3.turn();
      const status = said(n3, 'status').at(-1);
      assert.deepEqual([status?.valid, status?.end, status?.upto], [false, 5, 2]);
      n3.copy.onMessage(N2, { ...first, seq: 2, state: empty, last: true });
      n3.turn();
      assert.equal(n3.copy.valid, false);
    });

    it('and is not to be recovered meanwhile', () => {
      const n3 = begun().at(N3);
      n3.copy.corrupt('a record is damaged');
      const number = numberOf(9, N1);
      n3.copy.onMessage(N1, { ...first, number });
      assert.equal(n3.copy.recover(), null);
      n3.copy.onMessage(N1, { type: 'probe', number });
      assert.equal(n3.copy.recover(), 'restored');
      assert.equal(n3.copy.valid, true);
    });

    it('and begins anew while the old log is being deleted: the first is over', () => {
      const n3 = learner();
      n3.stalled = true;
      n3.copy.onMessage(N2, first);
      n3.turn();
      n3.copy.onMessage(N2, first);
      n3.stalled = false;
      n3.turn();
      assert.deepEqual(
        said(n3, 'snapshotted').map(({ seq }) => seq),
        [0],
      );
    });

    it('and not from where it has less than is left out', () => {
      const n3 = learner();
      n3.copy.onMessage(N2, { ...first, from: 3 });
      n3.turn();
      assert.equal(n3.copy.valid, true);
      assert.equal(said(n3, 'snapshotted').length, 0);
    });

    it('and not of a log that lacks what is committed here', () => {
      const n3 = learner();
      const terms = [{ number: OLD, start: 1 }];
      n3.copy.onMessage(N2, { ...first, index: 2, terms });
      assert.equal(n3.copy.valid, true);
      assert.equal(n3.complaints[0]?.[0], 'contradiction');
    });
  });
});
