import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Groups, type Member, type Strategy, strategyOf } from './groups.ts';

const KEY = '$share/g/t/#';

/** A group of `n` members, each at one of three nodes. */
function groupOf(n: number) {
  const groups = new Groups();
  for (let connection = 1; connection <= n; connection++) join(groups, connection);
  return { groups, group: groups.get(KEY)! };
}

function join(groups: Groups, connection: number): void {
  const clientId = `c${connection}`;
  const of = { connection, clientId, qos: 1, persistent: false, window: 10 } as const;
  groups.changeMember(`n${connection % 3}`, KEY, of, true);
}

const free = ({ free }: Member) => free;
const message = { topic: 't/a', publisher: 'p' };

function choices(
  group: ReturnType<typeof groupOf>['group'],
  strategy: Strategy,
  count: number,
  of: (i: number) => typeof message = () => message,
): string[] {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  return Array.from(
    { length: count },
    (_, i) => group.choose(strategy, of(i), 'n1', random, free)?.clientId ?? 'none',
  );
}

function counts(names: readonly string[]): number[] {
  const byName = new Map<string, number>();
  for (const name of names) byName.set(name, (byName.get(name) ?? 0) + 1);
  return [...byName.values()];
}

describe('members of a group', () => {
  it('take turns, one message apart at the most', () => {
    const found = counts(choices(groupOf(7).group, 'round-robin', 100_000));
    assert.equal(found.length, 7);
    assert.ok(Math.max(...found) - Math.min(...found) <= 1, `${found}`);
  });

  it('take turns whoever comes and goes: none twice before all that stayed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }), (moves) => {
        const { groups, group } = groupOf(4);
        for (const move of moves) {
          const member = groups.member(`n${move % 3}`, move, KEY);
          if (!member) join(groups, move);
          else if (group.members.length > 1) groups.changeMember(member.node, KEY, member, false);
          const n = group.members.length;
          assert.equal(new Set(choices(group, 'round-robin', n)).size, n);
        }
      }),
    );
  });

  it('are passed over while they are full', () => {
    for (const strategy of [
      'round-robin',
      'random',
      'sticky',
      'hash-topic',
      'hash-client',
    ] as const) {
      const { group } = groupOf(3);
      group.members[0]!.underWay = 10;
      group.members[1]!.busy = true;
      assert.deepEqual(new Set(choices(group, strategy, 20)), new Set(['c3']), strategy);
      group.members[2]!.busy = true;
      assert.deepEqual(choices(group, strategy, 1), ['none'], strategy);
    }
  });

  it('get the turns in which they had no room when they have some again', () => {
    const { group } = groupOf(3);
    const [slow, , other] = group.members;
    const given = [choices(group, 'round-robin', 300)];
    for (let i = 0; i < 20; i++) {
      slow!.busy = i % 2 === 0;
      other!.busy = i % 5 === 0;
      given.push(choices(group, 'round-robin', 30));
    }
    slow!.busy = other!.busy = false;
    given.push(choices(group, 'round-robin', 300));
    const found = counts(given.flat());
    assert.ok(Math.max(...found) - Math.min(...found) <= 1, `${found}`);
  });

  it('that were full for long do not get all of it back', () => {
    const { group } = groupOf(2);
    group.members[0]!.busy = true;
    choices(group, 'round-robin', 5000);
    group.members[0]!.busy = false;
    const back = choices(group, 'round-robin', 1200);
    assert.equal(back.indexOf('c2'), 1001);
  });

  it('keep to one with sticky, until it leaves', () => {
    const { groups, group } = groupOf(5);
    const [first] = choices(group, 'sticky', 1);
    for (let connection = 6; connection < 20; connection++) join(groups, connection);
    assert.deepEqual(new Set(choices(group, 'sticky', 50)), new Set([first]));
    const member = group.members.find(({ clientId }) => clientId === first)!;
    groups.changeMember(member.node, KEY, member, false);
    const next = new Set(choices(group, 'sticky', 50));
    assert.equal(next.size, 1);
    assert.ok(!next.has(first!));
  });

  it('keep to a publisher, or to a topic, and share many of them', () => {
    const { group } = groupOf(5);
    for (const [strategy, of] of [
      ['hash-client', (i: number) => ({ topic: `t/${i}`, publisher: `p${i % 50}` })],
      ['hash-topic', (i: number) => ({ topic: `t/${i % 50}`, publisher: `p${i}` })],
    ] as const) {
      const found = choices(group, strategy, 500, of);
      for (let i = 50; i < 500; i++) assert.equal(found[i], found[i % 50]);
      assert.equal(new Set(found).size, 5);
    }
  });

  it('are those of the node where the message came in, if there are some with room', () => {
    const { group } = groupOf(6);
    assert.deepEqual(new Set(choices(group, 'local-first', 20)), new Set(['c1', 'c4']));
    for (const m of group.members) if (m.node === 'n1') m.busy = true;
    assert.deepEqual(new Set(choices(group, 'local-first', 20)), new Set(['c2', 'c3', 'c5', 'c6']));
  });

  it('are chosen at random, each about as often', () => {
    const found = counts(choices(groupOf(5).group, 'random', 10_000));
    assert.equal(found.length, 5);
    for (const count of found) assert.ok(count > 1700 && count < 2300, `${found}`);
  });

  it('make the group, together with shards of stored sessions, and end it', () => {
    const groups = new Groups();
    assert.equal(groups.changeShard(3, KEY, true)?.empty, false);
    join(groups, 1);
    assert.equal(groups.changeShard(3, KEY, false), null);
    const member = groups.get(KEY)!.members[0]!;
    assert.equal(groups.changeMember('n1', KEY, member, false)?.empty, true);
    assert.equal(groups.get(KEY), undefined);
  });
});

describe('the strategy of a group', () => {
  it('is that of its share name, or that of all', () => {
    const shared = { strategy: 'random', groups: { g: 'sticky' } } as const;
    assert.equal(strategyOf(shared, 'g'), 'sticky');
    assert.equal(strategyOf(shared, 'constructor'), 'random');
    assert.equal(strategyOf(undefined, 'g'), 'round-robin');
  });
});
