import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Prng } from '../sim/prng.ts';
import { comparePrecedence, MemberList } from './member-list.ts';
import { MEMBER_STATES, type MemberState } from './message.ts';
import { type Statement, StatementTable } from './statement.ts';

const table = new StatementTable();

function record(name: string, state: MemberState = 'alive'): Statement {
  const address = `${name}:1`;
  const versions = { min: 1, max: 1 };
  const meta = new Uint8Array();
  const unwell = false;
  return table.intern(
    { name, bootEpoch: 1, incarnation: 0, state, address, meta, unwell, versions },
    '',
  );
}

function listOf(...records: Statement[]): MemberList {
  const prng = new Prng('member list');
  const list = new MemberList(record('self'), () => prng.next());
  for (const [at, each] of records.entries()) list.put(each, at);
  return list;
}

describe('precedence', () => {
  const statement = fc.record({
    bootEpoch: fc.nat(2),
    incarnation: fc.nat(2),
    state: fc.constantFrom(...MEMBER_STATES),
  });

  it('is one total order, so that the order of hearing does not matter', () => {
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1 }), (heard) => {
        const keep = (list: typeof heard) =>
          list.reduce((kept, next) => (comparePrecedence(next, kept) > 0 ? next : kept));
        assert.equal(comparePrecedence(keep(heard), keep([...heard].reverse())), 0);
        for (const each of heard) assert.ok(comparePrecedence(keep(heard), each) >= 0);
      }),
    );
  });

  const table: [newer: [number, number, MemberState], older: [number, number, MemberState]][] = [
    [
      [1, 1, 'alive'],
      [1, 0, 'alive'],
    ],
    [
      [1, 1, 'alive'],
      [1, 0, 'suspect'],
    ],
    [
      [1, 1, 'alive'],
      [1, 0, 'faulty'],
    ],
    [
      [1, 1, 'alive'],
      [1, 0, 'left'],
    ],
    [
      [1, 0, 'suspect'],
      [1, 0, 'alive'],
    ],
    [
      [1, 1, 'suspect'],
      [1, 0, 'suspect'],
    ],
    [
      [1, 0, 'faulty'],
      [1, 0, 'suspect'],
    ],
    [
      [1, 0, 'left'],
      [1, 0, 'faulty'],
    ],
    [
      [2, 0, 'alive'],
      [1, 9, 'left'],
    ],
    [
      [2, 0, 'alive'],
      [1, 9, 'faulty'],
    ],
  ];
  for (const [newer, older] of table) {
    it(`${newer.join('/')} overrides ${older.join('/')}`, () => {
      const [x, y] = [newer, older].map(([bootEpoch, incarnation, state]) => ({
        bootEpoch,
        incarnation,
        state,
      }));
      assert.ok(x !== undefined && y !== undefined);
      assert.ok(comparePrecedence(x, y) > 0);
      assert.ok(comparePrecedence(y, x) < 0);
    });
  }
});

describe('MemberList', () => {
  it('probes everybody once a round, in another order each (SWIM §4.3)', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const list = listOf(...names.map((name) => record(name)));
    const draw = (): string[] => names.map(() => list.nextTarget()?.name ?? '');
    draw();
    const rounds = [draw(), draw(), draw()];
    for (const round of rounds) assert.deepEqual([...round].sort(), names);
    assert.ok(rounds.some((round) => round.join() !== rounds[0]?.join()));
  });

  it('probes neither itself nor the dead, and ends when no peer is left', () => {
    const list = listOf(record('a', 'faulty'), record('b', 'left'), record('c', 'suspect'));
    for (let n = 0; n < 5; n++) assert.equal(list.nextTarget()?.name, 'c');
    assert.equal(listOf().nextTarget(), undefined);
    assert.equal(list.nextLost()?.name, 'a');
    assert.equal(list.nextLost()?.name, 'a');
    assert.equal(listOf(record('b', 'left')).nextLost(), undefined);
  });

  it('picks different peers, never those excluded', () => {
    const list = listOf(...['a', 'b', 'c', 'd'].map((name) => record(name)));
    for (let n = 0; n < 20; n++) {
      const picked = list.pickPeers(3, 'b').map((each) => each.name);
      assert.equal(new Set(picked).size, 3);
      assert.ok(!picked.includes('b') && !picked.includes('self'));
    }
    assert.equal(list.pickPeers(9).length, 4);
  });

  it('shows everybody sorted, and hands out what never changes', () => {
    const list = listOf(record('b'), record('a', 'left'));
    const before = list.members();
    assert.deepEqual(
      before.map((member) => member.name),
      ['a', 'b', 'self'],
    );
    list.put(record('b', 'faulty'), 1);
    assert.equal(before[1]?.state, 'alive');
    assert.equal(list.members()[1]?.state, 'faulty');
    assert.ok(Object.isFrozen(list.members()) && Object.isFrozen(list.members()[0]));
  });

  it('knows who has been dead for longest', () => {
    const list = listOf(record('c'), record('b', 'left'), record('a', 'faulty'));
    assert.equal(list.oldestDead()?.name, 'b');
    assert.equal(list.deadSince('b'), 1);
    assert.equal(listOf(record('c')).oldestDead(), undefined);
  });

  it('forgets members and takes others, with every count and round right', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom(...names), fc.constantFrom('forget', 'draw', ...MEMBER_STATES)),
        ),
        (steps) => {
          const list = listOf();
          const model = new Map<string, MemberState>();
          for (const [name, what] of steps) {
            if (what === 'draw') list.nextTarget();
            else if (what === 'forget') {
              list.remove(name);
              model.delete(name);
            } else {
              list.put(record(name, what), 1);
              model.set(name, what);
            }
            const present = [...model].filter(
              ([, state]) => state === 'alive' || state === 'suspect',
            );
            assert.equal(list.size, model.size + 1);
            assert.equal(list.peerCount(), present.length);
            assert.equal([...list.dead()].length, model.size - present.length);
          }
          const fresh = listOf(...[...model].map(([name, state]) => record(name, state)));
          assert.equal(list.digest(), fresh.digest());
          const targets = [...model].filter(
            ([, state]) => state === 'alive' || state === 'suspect',
          );
          // Whatever the round was at, the next but one is whole.
          for (let n = 0; n < targets.length; n++) list.nextTarget();
          const start = new Set<string | undefined>();
          for (let n = 0; n < targets.length * 2; n++) start.add(list.nextTarget()?.name);
          assert.deepEqual([...start].sort(), targets.map(([name]) => name).sort());
        },
      ),
    );
  });

  it('starts with the members of another list', () => {
    const shared = new StatementTable({ shared: true });
    const make = (name: string) => {
      const self = shared.intern({ ...record(name) }, '');
      return new MemberList(self, () => 0.5, shared);
    };
    const first = make('a');
    for (const name of ['b', 'c', 'd']) first.put(shared.intern(record(name), ''), 0);
    first.put(shared.intern(record('e', 'faulty'), ''), 7);
    const second = make('b');
    second.adoptAll(first);
    assert.equal(second.digest(), first.digest());
    assert.equal(second.get('c'), first.get('c'));
    assert.equal(second.size, 5);
    assert.equal(second.peerCount(), 3);
    assert.equal(second.deadSince('e'), 7);
    const targets = new Set([1, 2, 3].map(() => second.nextTarget()?.name));
    assert.deepEqual([...targets].sort(), ['a', 'c', 'd']);
  });
});
