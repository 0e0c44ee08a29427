import assert from 'node:assert/strict';
import { type Copies, entryOf, N1, N2, N3, numberOf } from './copies.ts';
import { led, pass, said } from './steps.ts';

/** n1 leads, and has sent entry 4 to both. */
function sent(): Copies {
  const copies = led();
  copies.propose(copies.at(N1), 'four');
  copies.at(N1).turn();
  return copies;
}

describe('the steady path, step by step', () => {
  it('sends an entry once, and again on a new link', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    n1.turn();
    assert.equal(said(n1, 'append', N2).length, 1);
    n1.copy.onLinkUp(N2);
    n1.turn();
    const [first, again] = said(n1, 'append', N2);
    assert.deepEqual(again, first);
    assert.equal(said(n1, 'append', N3).length, 1);
  });

  it('goes on from what a copy has when that found a gap', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    const { dirtied } = n1;
    n1.copy.onMessage(N2, { type: 'appended', number, index: 3 });
    assert.equal(n1.dirtied, dirtied + 1);
    n1.turn();
    assert.deepEqual(
      said(n1, 'append', N2).map(({ prev }) => prev),
      [3, 3],
    );
  });

  it('awaits a copy that has not acknowledged what it was sent', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    assert.equal(n1.copy.awaits(N2), true);
    n1.copy.onMessage(N2, { type: 'appended', number, index: 4 });
    assert.equal(n1.copy.awaits(N2), false);
    assert.equal(n1.copy.awaits(N3), true);
    assert.equal(copies.at(N3).copy.awaits(N1), false);
  });

  it('waits for room on the way to a copy, and goes on when there is', () => {
    const copies = led();
    const n1 = copies.at(N1);
    for (const id of [N2, N3]) n1.full.add(id);
    copies.propose(n1, 'x');
    n1.turn();
    assert.equal(said(n1, 'append').length, 0);
    n1.full.clear();
    n1.copy.appending.onDrained(N2);
    assert.equal(said(n1, 'append', N2).length, 1);
    assert.equal(said(n1, 'append', N3).length, 0);
  });

  it('does not count what was acknowledged in another view', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    const { counter } = n1.copy.view.number;
    for (const id of [N2, N3])
      n1.copy.onMessage(id, { type: 'appended', number: numberOf(counter - 1), index: 4 });
    assert.equal(n1.copy.commit, 3);
  });

  it('does not count twice what one copy acknowledges', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    for (let i = 0; i < 2; i++) n1.copy.onMessage(N2, { type: 'appended', number, index: 4 });
    assert.equal(n1.copy.commit, 3);
    n1.copy.onMessage(N3, { type: 'appended', number, index: 4 });
    assert.equal(n1.copy.commit, 4);
  });

  it('tells followers of the last commit, once', () => {
    const copies = sent();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    for (const id of [N2, N3]) n1.copy.onMessage(id, { type: 'appended', number, index: 4 });
    pass(copies, n1, 100);
    const told = said(n1, 'append', N2).filter(({ entries }) => entries.length === 0);
    assert.deepEqual(
      told.map(({ prev, commit }) => [prev, commit]),
      [[4, 4]],
    );
  });

  it('drops a copy that is so far behind that its entries are not sent any more', () => {
    const copies = led();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    n1.full.add(N3);
    for (let i = 0; i < 9000; i++) copies.propose(n1, 'x');
    n1.copy.onMessage(N2, { type: 'appended', number, index: n1.copy.log.end });
    pass(copies, n1, 40);
    n1.full.clear();
    n1.turn();
    pass(copies, n1, 600);
    assert.equal(said(n1, 'prepare').length > 0, true);
    assert.ok(n1.traces.some(([phase]) => phase === 'append-too-far'));
  });

  it('a follower with a gap says where it stands, and stores nothing', () => {
    const n2 = led().at(N2);
    const { number } = n2.copy.view;
    const append = { type: 'append', number, prev: 5, commit: 3 } as const;
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(6, number)] });
    assert.deepEqual(said(n2, 'appended', N1), [{ type: 'appended', number, index: 3 }]);
    assert.equal(n2.copy.log.end, 3);
  });

  it('a follower takes what overlaps once', () => {
    const n2 = led().at(N2);
    const { number } = n2.copy.view;
    const append = { type: 'append', number, prev: 3, commit: 3 } as const;
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(4, number)] });
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(4, number), entryOf(5, number)] });
    assert.deepEqual(n2.state.list, ['e1', 'e2', 'e3', 'e4', 'e5']);
  });

  it('a follower that is not whole says so instead', () => {
    const n2 = led().at(N2);
    const { number } = n2.copy.view;
    n2.copy.corrupt('a record is damaged');
    n2.sent.length = 0;
    n2.copy.onMessage(N1, { type: 'append', number, prev: 3, commit: 3, entries: [] });
    assert.equal(said(n2, 'broken', N1).length, 1);
  });
});
