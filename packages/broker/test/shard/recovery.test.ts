import assert from 'node:assert/strict';
import { crc32c, Writer } from '../../src/bytes.ts';
import { checkpointKey, entryKey, hardKey } from '../../src/shard/keys.ts';
import { Copies, entryOf, type Machine, N1, N2, N3, numberOf, viewOf } from './copies.ts';

const OLD = numberOf(5);
const VIEW = viewOf(OLD, [N1, N2, N3], 20);

/** A machine that holds 50 entries of view 5, which began at 20, and has promised 7. */
function stopped(view = VIEW): Machine {
  const copies = new Copies();
  copies.begin(view, 50);
  const machine = copies.at(N1);
  machine.up = false;
  machine.record({ promised: numberOf(7, N2) });
  return machine;
}

function lose(machine: Machine, from: number, to = 50): void {
  for (let i = from; i <= to; i++) machine.change(entryKey(0, i), null);
}

/** The record with its checksum made right again. */
function resealed(record: Uint8Array): Uint8Array {
  const out = Uint8Array.from(record);
  const end = out.length - 4;
  new DataView(out.buffer).setUint32(end, crc32c(out, 0, end), true);
  return out;
}

function read(machine: Machine, key: Uint8Array): Uint8Array {
  const value = machine.read(key);
  assert.ok(value);
  return value;
}

describe('a copy that comes back (ADR 0017)', () => {
  it('is believed when nothing is lost, and knows what is committed', () => {
    const machine = stopped();
    assert.equal(machine.restart(), null);
    assert.equal(machine.copy.valid, true);
    assert.equal(machine.copy.commit, 50);
    assert.equal(machine.copy.promised.counter, 7);
  });

  describe('with less than it acknowledged is invalid, on disk as well:', () => {
    const cases: Record<string, (machine: Machine) => void> = {
      'the log ends before its view begins': (m) => lose(m, 15),
      'the log is gone': (m) => lose(m, 1),
      'an entry is gone from the middle': (m) => lose(m, 30, 30),
      'the last entry is gone': (m) => lose(m, 50),
      'an entry is damaged': (m) => m.change(entryKey(0, 33), Uint8Array.of(1, 2, 3, 4, 5, 6, 7)),
    };
    for (const [what, damage] of Object.entries(cases)) {
      it(what, () => {
        const machine = stopped();
        damage(machine);
        assert.equal(machine.restart()?.what, 'data');
        assert.equal(machine.copy.valid, false);
        assert.equal(machine.restart(), null, 'it is told once');
        assert.equal(machine.copy.valid, false);
      });
    }

    it('its store was found damaged before it was opened', () => {
      const machine = stopped();
      assert.equal(machine.restart({ damage: 'rot' })?.why, 'rot');
      assert.equal(machine.copy.valid, false);
    });

    it('entries are gone that it knew to be committed, though it was no active copy any more', () => {
      const machine = stopped();
      machine.record({ view: viewOf(numberOf(6, N2), [N2, N3], 50) });
      lose(machine, 45);
      assert.equal(machine.restart()?.what, 'data');
    });
  });

  it('is not called short for what the leader of a later view made it drop', () => {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    const n3 = copies.at(N3);
    const entries = Array.from({ length: 10 }, (_, i) => entryOf(51 + i, OLD));
    n3.copy.onMessage(N1, { type: 'append', number: OLD, prev: 50, commit: 50, entries });
    n3.turn();
    n3.copy.tick(copies.nowMs);
    assert.equal(n3.marks.get(0)?.durable, 60);
    const learn = { type: 'learn', number: numberOf(8, N2), prev: 50, commit: 50 } as const;
    n3.copy.onMessage(N2, { ...learn, entries: [entryOf(51, numberOf(8, N2))] });
    n3.turn();
    assert.equal(n3.copy.log.end, 51);
    assert.equal(n3.restart(), null);
    assert.equal(n3.copy.valid, true);
  });

  it('is not called short for a cut below where its view began', () => {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    const n3 = copies.at(N3);
    n3.marks.set(0, { ...n3.marks.get(0)!, durable: 50, commit: 5 });
    n3.restart();
    const learn = { type: 'learn', number: numberOf(8, N2), prev: 10, commit: 10 } as const;
    n3.copy.onMessage(N2, { ...learn, entries: [] });
    n3.turn();
    assert.equal(n3.copy.log.end, 10);
    assert.equal(n3.restart(), null);
    assert.equal(n3.copy.valid, true);
  });

  it('answers nothing before it is read', () => {
    const copies = new Copies();
    copies.begin(viewOf(OLD, [N1, N2, N3], 0), 5);
    const n3 = copies.at(N3);
    n3.start().load(() => {});
    n3.copy.onMessage(N2, { type: 'probe', number: numberOf(9, N2) });
    n3.copy.onMessage(N2, { type: 'prepare', number: numberOf(9, N2), handoverOf: OLD });
    assert.equal(n3.sent.length, 0);
    n3.turn();
    assert.deepEqual(
      n3.sent.map(({ m }) => m.type),
      ['status', 'refused', 'promise'],
    );
  });

  it('may have entries without a promise: it was given them as a learner', () => {
    const copies = new Copies();
    for (const machine of copies.machines.values()) machine.start();
    const n3 = copies.at(N3);
    const learn = { type: 'learn', number: numberOf(1), prev: 0, commit: 0 } as const;
    n3.copy.onMessage(N1, { ...learn, entries: [entryOf(1, numberOf(1))] });
    n3.turn();
    assert.equal(n3.restart(), null);
    assert.equal(n3.copy.log.end, 1);
  });

  describe('without its promises may not vote:', () => {
    it('the record is gone', () => {
      const machine = stopped();
      machine.change(hardKey(0), null);
      assert.equal(machine.restart()?.what, 'vote');
    });

    it('the record is gone, with all else but the marks', () => {
      const machine = stopped();
      machine.change(hardKey(0), null);
      lose(machine, 1);
      assert.equal(machine.restart()?.what, 'vote');
    });

    it('the record is an earlier one: a promise is forgotten', () => {
      const machine = stopped();
      const before = read(machine, hardKey(0));
      machine.record({ promised: numberOf(9, N3) });
      machine.change(hardKey(0), before);
      assert.equal(machine.restart()?.what, 'vote');
    });

    it('the record is an earlier one: a view is forgotten', () => {
      const machine = stopped();
      const before = read(machine, hardKey(0));
      machine.record({ view: viewOf(numberOf(7, N2), [N1, N2], 50) });
      machine.change(hardKey(0), before);
      assert.equal(machine.restart()?.what, 'vote');
    });

    it('the record is damaged', () => {
      const machine = stopped();
      machine.change(hardKey(0), Uint8Array.of(2, 1, 9, 9, 9, 9, 9, 9));
      assert.equal(machine.restart()?.what, 'vote');
    });
  });

  describe('that is the only one', () => {
    const alone = () => stopped(viewOf(OLD, [N1], 20));

    it('is left as it is: the node is not to start', () => {
      const machine = alone();
      lose(machine, 41);
      for (let i = 0; i < 2; i++) {
        const { what, alone: only, accepted } = machine.restart()!;
        assert.deepEqual({ what, only, accepted }, { what: 'data', only: true, accepted: false });
      }
    });

    it('goes on with what is left when an operator accepts the loss, once and for all', () => {
      const machine = alone();
      lose(machine, 41);
      assert.equal(machine.restart({ acceptLoss: true })?.accepted, true);
      assert.equal(machine.copy.valid, true);
      assert.equal(machine.copy.commit, 40);
      assert.equal(machine.restart(), null);
    });

    it('ends before a hole when the loss is accepted: what follows is gone from disk', () => {
      const machine = alone();
      lose(machine, 30, 31);
      assert.equal(machine.restart({ acceptLoss: true })?.accepted, true);
      assert.equal(machine.copy.log.end, 29);
      assert.equal(machine.restart(), null);
      assert.equal(machine.copy.log.end, 29);
    });
  });

  describe('of a later format is told from a damaged one:', () => {
    const formats: Record<string, (machine: Machine) => void> = {
      'the hard record': (m) => {
        const record = read(m, hardKey(0));
        record[0]!++;
        m.change(hardKey(0), resealed(record));
      },
      'flags of the hard record': (m) => {
        const record = read(m, hardKey(0));
        record[1]! |= 128;
        m.change(hardKey(0), resealed(record));
      },
      'an entry': (m) => {
        const record = read(m, entryKey(0, 50));
        record[0]!++;
        m.change(entryKey(0, 50), resealed(record));
      },
      'flags of an entry': (m) => {
        const record = read(m, entryKey(0, 50));
        record[1] = 1;
        m.change(entryKey(0, 50), resealed(record));
      },
      'a checkpoint': (m) => {
        const w = new Writer();
        w.u8(200);
        w.u32(crc32c(w.peek()));
        m.change(checkpointKey(0), w.take());
      },
    };
    for (const [what, change] of Object.entries(formats)) {
      it(what, () => {
        const machine = stopped();
        change(machine);
        assert.equal(machine.restart()?.what, 'format');
      });
    }
  });
});

describe('a follower behind what it acknowledged', () => {
  /** n1 leads with n3 alone, n2 is down; n3's disk loses entries while it is down, and its marks. */
  function behind(from: number): Copies {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    copies.kill(N2);
    copies.ended = (number) => number.counter === 5;
    assert.ok(copies.run(5000, () => copies.leader?.copy.view.active.length === 2));
    const leader = copies.leader!;
    for (let i = 0; i < 10; i++) copies.propose(leader, `new ${i}`);
    copies.run(100);
    assert.equal(leader.copy.commit, 60);
    const id = leader.id === N1 ? N3 : N1;
    const other = copies.at(id);
    copies.kill(id);
    lose(other, from, 60);
    other.marks.clear();
    copies.restart(id);
    return copies;
  }

  for (const [from, what] of [
    [58, 'of the view'],
    [10, 'and before it'],
  ] as const)
    it(`that lost entries ${what} is replaced while the third copy is down`, () => {
      const copies = behind(from);
      const before =
        copies.leader?.copy ??
        [...copies.machines.values()].find((m) => m.copy.role === 'leader')!.copy;
      copies.propose([...copies.machines.values()].find((m) => m.copy === before)!, 'after');
      assert.ok(copies.run(5000, () => copies.leader?.copy.commit === 61));
      const { machines } = copies;
      for (const { up, copy, state, complaints } of machines.values()) {
        if (!up) continue;
        assert.equal(copy.valid, true);
        copies.run(500);
        assert.equal(state.list.length, 61);
        if (copy !== before)
          assert.equal(complaints.filter(([w]) => w === 'short').length <= 1, true);
      }
    });

  it('is told that it is short, and says so once', () => {
    const copies = behind(58);
    const other = [...copies.machines.values()].find((m) => m.up && m.copy.role !== 'leader')!;
    const leader = [...copies.machines.values()].find((m) => m.copy.role === 'leader')!;
    copies.propose(leader, 'after');
    copies.run(5000, () => copies.leader !== undefined);
    assert.equal(other.complaints.filter(([what]) => what === 'short').length, 1);
  });

  it('that finds a hole when it rebuilds tells its leader, who makes it anew', () => {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    const n2 = copies.at(N2);
    const append = { type: 'append', number: OLD, prev: 50, commit: 50 } as const;
    n2.copy.onMessage(N1, { ...append, entries: [entryOf(51, OLD)] });
    n2.turn();
    n2.change(entryKey(0, 20), null);
    copies.ended = (number) => number.counter === 5;
    // n2's entry 51 is in no other log: the next view makes it drop that, and rebuild.
    for (const id of [N1, N3]) {
      const machine = copies.at(id);
      machine.record({ promised: numberOf(6, N3), view: viewOf(numberOf(6, N3), [N1, N3], 50) });
      machine.restart();
    }
    copies.ended = (number) => number.counter < 7;
    assert.ok(copies.run(5000, () => copies.leader !== undefined));
    assert.ok(copies.run(10_000, () => copies.leader?.copy.view.active.length === 3));
    copies.propose(copies.leader!, 'after');
    assert.ok(copies.run(5000, () => copies.leader?.copy.commit === 51));
    copies.run(500);
    assert.equal(n2.copy.valid, true);
    assert.equal(n2.state.list.length, 51);
    assert.equal(n2.complaints.length, 1);
  });
});

describe('a copy that knows an entry to be committed (ADR 0017)', () => {
  /** n1 has 50 committed entries; n2 and n3 came back with 40, and formed a view without n1. */
  function contradicted(): Copies {
    const copies = new Copies();
    copies.begin(VIEW, 50);
    copies.kill(N1);
    const next = viewOf(numberOf(9, N2), [N2, N3], 40);
    for (const id of [N2, N3]) {
      const machine = copies.at(id);
      copies.kill(id);
      lose(machine, 41);
      machine.marks.clear();
      machine.record({ promised: next.number, view: next });
      assert.equal(machine.restart(), null);
    }
    copies.ended = (number) => number.counter === 9;
    assert.ok(copies.run(5000, () => copies.leader !== undefined));
    return copies;
  }

  it('does not drop it for a view that lacks it: it stands still, and says so once', () => {
    const copies = contradicted();
    const n1 = copies.at(N1);
    assert.equal(copies.restart(N1), null);
    copies.run(20_000);
    assert.equal(n1.copy.log.end, 50);
    assert.equal(n1.state.list.length, 50);
    assert.deepEqual(
      n1.complaints.map(([what]) => what),
      ['contradiction'],
    );
    assert.match(n1.complaints[0]![1], /entries 41 to 50/);
    assert.ok(copies.leader, 'the view that lacks it serves on');
  });

  it('gives it up when an operator says so, and is a copy of that view again', () => {
    const copies = contradicted();
    const n1 = copies.at(N1);
    copies.restart(N1);
    copies.run(10_000);
    assert.equal(n1.copy.recover(), 'discarded');
    assert.ok(copies.run(10_000, () => copies.leader?.copy.view.active.length === 3));
    assert.equal(n1.state.list.length, 40);
    assert.equal(n1.restart(), null, 'nothing is missing any more');
  });
});
