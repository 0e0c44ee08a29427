/** Rules of the core that a run of the simulator rarely sees broken: each dropped alone fails here. */
import assert from 'node:assert/strict';
import { BytesError } from '../../src/bytes.ts';
import { chooseHolder } from '../../src/shard/holder.ts';
import type { Promised } from '../../src/shard/procedures.ts';
import type { CopyId, View } from '../../src/shard/view.ts';
import { Copies, entryOf, IDS, type Machine, N1, N2, N3, numberOf, viewOf } from './copies.ts';

const OLD = numberOf(5);
const VIEW = viewOf(OLD, [N1, N2, N3], 0);

/** All hold ten entries of view 5; n1 leads the next one. */
function led(): Copies {
  const copies = new Copies();
  copies.begin(VIEW, 10);
  assert.ok(copies.run(2000, () => copies.at(N1).copy.role === 'leader'));
  copies.run(100);
  return copies;
}

/** What this copy has said to that one, of one type. */
function said(copies: Copies, from: CopyId, to: CopyId, type: string) {
  return copies.at(from).sent.filter((s) => s.to === to && s.m.type === type);
}

/** Last index that this copy has said to n1 to be durable. */
function acknowledged(copies: Copies, id: CopyId): number | undefined {
  const last = said(copies, id, N1, 'appended').at(-1)?.m;
  return last?.type === 'appended' ? last.index : undefined;
}

describe('a copy that has promised a later view', () => {
  it('stores nothing of an earlier one, and refuses it', () => {
    const copies = led();
    const { number } = copies.at(N1).copy.view;
    const n2 = copies.at(N2);
    n2.copy.onMessage(N3, {
      type: 'prepare',
      number: numberOf(number.counter + 1, N3),
      handoverOf: number,
    });
    n2.turn();
    assert.equal(n2.copy.promised.leader, N3);
    const end = n2.copy.log.end;
    const acknowledged = said(copies, N2, N1, 'appended').length;
    const append = { type: 'append', number, prev: end, commit: end } as const;
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(end + 1, number)] });
    n2.turn();
    assert.equal(n2.copy.log.end, end);
    assert.equal(said(copies, N2, N1, 'appended').length, acknowledged);
    assert.equal(said(copies, N2, N1, 'refused').length > 0, true);
  });

  it('does not acknowledge what it had stored before, once it is durable after the promise', () => {
    const copies = led();
    const { number } = copies.at(N1).copy.view;
    const n2 = copies.at(N2);
    const end = n2.copy.log.end;
    const acknowledged = said(copies, N2, N1, 'appended').length;
    n2.stalled = true;
    const append = { type: 'append', number, prev: end, commit: end } as const;
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(end + 1, number)] });
    const prepare = { type: 'prepare', number: numberOf(number.counter + 1, N3) } as const;
    n2.copy.onMessage(N3, { ...prepare, handoverOf: number });
    n2.stalled = false;
    n2.turn();
    assert.equal(said(copies, N2, N1, 'appended').length, acknowledged);
    const promise = said(copies, N2, N3, 'promise').at(-1)?.m as Promised;
    assert.equal(promise.end, end + 1, 'the promise describes it instead');
  });
});

describe('nothing is said before it is durable:', () => {
  const later = numberOf(9, N3);

  for (const [type, message] of [
    ['promise', { type: 'prepare', number: later, handoverOf: numberOf(6, N1) }],
    [
      'installed',
      { type: 'install', view: viewOf(later, [N2, N3], 11), prev: 10, entries: [entryOf(11, OLD)] },
    ],
    ['recorded', { type: 'record', view: viewOf(later, [N1, N3], 10) }],
    [
      'appended',
      {
        type: 'append',
        number: numberOf(6),
        prev: 10,
        commit: 10,
        entries: [entryOf(11, numberOf(6))],
      },
    ],
    [
      'learned',
      { type: 'learn', number: later, prev: 10, commit: 10, entries: [entryOf(11, later)] },
    ],
  ] as const)
    it(type, () => {
      const copies = led();
      const n2 = copies.at(N2);
      const from = type === 'appended' ? N1 : N3;
      const before = said(copies, N2, from, type).length;
      n2.stalled = true;
      n2.copy.onMessage(from, message);
      n2.turn();
      assert.equal(said(copies, N2, from, type).length, before);
      n2.stalled = false;
      n2.turn();
      assert.equal(said(copies, N2, from, type).length, before + 1);
    });

  it('a leader counts its own copy when that is durable, whatever the others have', () => {
    const copies = led();
    const leader = copies.at(N1);
    const { commit } = leader.copy;
    leader.stalled = true;
    copies.propose(leader, 'new');
    copies.run(200);
    for (const id of [N2, N3]) assert.equal(acknowledged(copies, id), commit + 1);
    assert.equal(leader.copy.commit, commit);
    leader.stalled = false;
    copies.run(100);
    assert.equal(leader.copy.commit, commit + 1);
  });

  it('an entry commits when all active copies have it, not most', () => {
    const copies = led();
    const leader = copies.at(N1);
    const { commit } = leader.copy;
    copies.at(N3).stalled = true;
    copies.propose(leader, 'new');
    copies.run(200);
    assert.equal(acknowledged(copies, N2), commit + 1);
    assert.equal(leader.copy.commit, commit);
  });
});

describe('a snapshot that cannot be read ends no process:', () => {
  const snapshot = {
    type: 'snapshot',
    number: numberOf(9, N3),
    seq: 0,
    index: 10,
    from: 0,
  } as const;
  const learner = () => {
    const copies = led();
    const n2 = copies.at(N2);
    // It is not active in the view whose leader sends.
    n2.copy.onMessage(N3, { type: 'record', view: viewOf(numberOf(8, N3), [N1, N3], 10) });
    n2.turn();
    return n2;
  };

  it('its state, once the old log is gone', () => {
    const n2 = learner();
    n2.state.restore = () => {
      throw new BytesError('no state');
    };
    const part = { commit: 10, terms: n2.copy.log.terms, state: new Uint8Array(3), entries: [] };
    n2.copy.onMessage(N3, { ...snapshot, ...part, last: true });
    n2.turn();
    assert.equal(n2.copy.valid, false);
    const answered = () => n2.sent.some(({ m }) => m.type === 'snapshotted');
    assert.equal(answered(), false);
    // The leader begins anew.
    n2.state.restore = () => {};
    n2.copy.onMessage(N3, { ...snapshot, ...part, last: true });
    n2.turn();
    assert.equal(n2.copy.valid, true);
    assert.equal(answered(), true);
  });

  it('its entries, when they come: the link ends', () => {
    const n2 = learner();
    const part = { commit: 10, terms: n2.copy.log.terms, state: new Uint8Array(3) };
    const message = { ...snapshot, ...part, entries: [Uint8Array.of(1, 2, 3)], last: true };
    assert.throws(() => n2.copy.onMessage(N3, message), BytesError);
    assert.equal(n2.copy.valid, true);
  });
});

describe('the log to keep (models/view-formation.pml)', () => {
  const promise = (view: View, end: number, valid = true): Promised => ({
    type: 'promise',
    number: numberOf(20),
    granted: true,
    promised: numberOf(20),
    view,
    end,
    tailStart: 0,
    floor: 0,
    valid,
    terms: [],
  });
  const low = viewOf(numberOf(5), [N1, N2, N3], 0);
  const high = viewOf(numberOf(6), [N1, N2], 10);
  const choose = (promises: Record<CopyId, Promised>, self = Object.keys(promises)[0]!) => {
    const views = Object.values(promises).map((p) => p.view);
    const highest = views.reduce((a, b) => (b.number.counter > a.number.counter ? b : a));
    const choice = chooseHolder(new Map(Object.entries(promises)), highest, self);
    return choice && [choice.holder, choice.base.number.counter];
  };

  it('is the longest of those that recorded the highest view and are active in it', () => {
    assert.deepEqual(choose({ [N1]: promise(high, 10), [N2]: promise(high, 12) }), [N2, 6]);
    assert.deepEqual(choose({ [N1]: promise(low, 9), [N3]: promise(low, 8) }), [N1, 5]);
  });

  it('is of no copy that did not record that view itself, however long', () => {
    assert.deepEqual(choose({ [N1]: promise(high, 10), [N2]: promise(low, 99) }), [N1, 6]);
  });

  it('is of no copy that is not active in it', () => {
    assert.equal(choose({ [N3]: promise(high, 99), [N2]: promise(low, 50) }), null);
  });

  it('is of the view before if only damaged copies recorded the highest and the rest is a quorum', () => {
    const promises = {
      [N2]: promise(low, 50),
      [N1]: promise(viewOf(numberOf(6), [N1, N2, N3], 50), 50, false),
      [N3]: promise(low, 60),
    };
    assert.deepEqual(choose(promises), [N3, 5]);
  });

  it('is of no copy if the rest is no quorum, though a member never recorded the highest view', () => {
    const promises = {
      [N3]: promise(low, 50),
      [N1]: promise(viewOf(numberOf(6), [N1, N2, N3], 50), 50, false),
    };
    assert.equal(choose(promises), null);
  });

  it('is of no copy if a whole copy may still have it', () => {
    const promises = { [N3]: promise(low, 50), [N1]: promise(high, 50, false) };
    assert.equal(choose(promises), null);
  });

  it('is found by two whole copies when the third alone recorded a view, and is damaged', () => {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    const lonely = viewOf(numberOf(6), [N1, N2, N3], 50);
    for (const machine of copies.machines.values()) {
      const damaged = machine.id === N1 ? { view: lonely, valid: false } : {};
      machine.record({ promised: lonely.number, ...damaged });
      machine.restart();
    }
    copies.ended = (number) => number.counter <= 6;
    assert.ok(copies.run(10_000, () => copies.leader?.copy.view.active.length === 3));
    for (const { state } of copies.machines.values()) assert.equal(state.list.length, 50);
  });
});

describe('an election with too few copies that hold data', () => {
  const N4: CopyId = 'n4#s';

  /** Only n1 and n2 held data, n2 is gone for good, and n1 stands. */
  function stands(ids: readonly CopyId[], minCopies: number, targets: readonly CopyId[]): Copies {
    const copies = new Copies(ids);
    copies.minCopies = minCopies;
    copies.targets = targets;
    copies.begin(viewOf(OLD, [N1, N2], 0), 50);
    copies.ended = (number) => number.counter <= OLD.counter;
    copies.kill(N2);
    copies.run(900, () => copies.leader !== undefined);
    return copies;
  }

  it('makes a copy of a voter that placement does not want', () => {
    const copies = stands(IDS, 2, [N1, N2]);
    assert.equal(copies.leader, copies.at(N1));
    assert.deepEqual(copies.at(N1).copy.view.active.toSorted(), [N1, N3]);
    assert.equal(copies.at(N3).state.list.length, 50);
  });

  it('makes copies where placement wants them, of nodes that do not vote', () => {
    const copies = stands([...IDS, N4], 3, [N1, N2, N4]);
    assert.equal(copies.leader, copies.at(N1));
    assert.deepEqual(copies.at(N1).copy.view.active.toSorted(), [N1, N3, N4]);
  });
});

describe('a copy that learns from the leader of a view', () => {
  const LATER = numberOf(9, N2);

  /** It holds entries 1 to 3 of view 5, and 4 and 5 of view 9, by a snapshot or by entries. */
  function learner(how: 'snapshot' | 'entries'): Machine {
    const machine = new Copies().at(N3);
    const copy = machine.start();
    const terms = [
      { number: OLD, start: 1 },
      { number: LATER, start: 4 },
    ];
    const records = [1, 2, 3, 4, 5].map((i) => entryOf(i, i < 4 ? OLD : LATER));
    const number = LATER;
    if (how === 'entries')
      copy.onMessage(N2, { type: 'learn', number, prev: 0, commit: 5, entries: records });
    else {
      const head = { type: 'snapshot', number, index: 5, commit: 5, from: 0, terms } as const;
      const state = Buffer.from('["e1","e2","e3","e4","e5"]');
      const rest = { state, entries: records, last: true };
      copy.onMessage(N2, { ...head, ...rest, seq: 0 });
    }
    machine.turn();
    return machine;
  }

  for (const how of ['snapshot', 'entries'] as const) {
    for (const restarts of [false, true]) {
      it(`takes nothing of an earlier one: ${how}${restarts ? ', and a new process' : ''}`, () => {
        const machine = learner(how);
        assert.equal(machine.copy.log.end, 5);
        assert.equal(machine.copy.valid, true);
        if (restarts) assert.equal(machine.restart(), null);
        machine.sent.length = 0;
        const terms = [{ number: OLD, start: 1 }];
        const { copy } = machine;
        copy.onMessage(N1, { type: 'probe', number: OLD });
        copy.onMessage(N1, { type: 'learn', number: OLD, prev: 3, commit: 3, entries: [] });
        const head = {
          type: 'snapshot',
          number: OLD,
          seq: 0,
          index: 4,
          commit: 3,
          from: 0,
        } as const;
        const state = Buffer.from('["e1","e2","e3","x4"]');
        copy.onMessage(N1, { ...head, terms, state, entries: [], last: true });
        machine.turn();
        assert.equal(copy.contradiction, null);
        assert.equal(copy.log.end, 5);
        assert.deepEqual(new Set(machine.sent.map(({ m }) => m.type)), new Set(['refused']));
      });
    }
  }
});
