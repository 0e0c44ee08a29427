import assert from 'node:assert/strict';
import type { MemberInfo } from '../../ports.ts';
import { copyId } from '../../shard/view.ts';
import { Membership } from './membership.ts';
import { copiesWanted } from './replication.ts';

const MINUTE = 60_000;

function member(name: string, state: MemberInfo['state'] = 'alive', bootEpoch = 1): MemberInfo {
  const meta = { storeId: 's', zone: '', host: name, weight: 1, mqtt: '', admin: '' };
  const unwell = false;
  const address = `${name}:1`;
  return { name, bootEpoch, state, unwell, address, meta: { ...meta, leaving: false } };
}

function knowing(...members: MemberInfo[]): Membership {
  const membership = new Membership(copyId('n1', 's'), 1, { replicas: 3 }, 10 * MINUTE);
  membership.update([member('n1'), ...members], 4, 0);
  return membership;
}

const N3 = copyId('n3', 's');

describe('Membership', () => {
  it('places by the stable view, whatever the state; the rest goes by the state', () => {
    const all = ['n1', 'n2', 'n3'].map((name) => ({ ...member(name), inStableView: true }));
    const membership = knowing(...all);
    const before = membership.targets(0, 0);
    assert.equal(before.length, 3);
    const told = (state: MemberInfo['state'], inStableView: boolean) =>
      membership.update([...all.slice(0, 2), { ...member('n3', state), inStableView }], 4, 0);
    // Faulty, but others may be so too: nothing moves until that is settled.
    told('faulty', true);
    assert.equal(membership.targets(0, 0), before);
    assert.equal(membership.gone('n3', 1, 0), true);
    told('faulty', false);
    assert.ok(!membership.targets(0, 0).includes(N3));
    // It flaps: nothing is placed there though it is alive right now.
    told('alive', false);
    assert.ok(!membership.targets(0, 0).includes(N3));
    told('alive', true);
    assert.deepEqual(membership.targets(0, 0), before);
  });

  it('prefers whoever is well as leader, and takes nothing away from who is not', () => {
    const all = ['n1', 'n2', 'n3'].map((name) => member(name));
    const membership = knowing(...all);
    const nowMs = 0;
    const before = [0, 1, 2, 3].map((shard) => membership.targets(shard, nowMs));
    const unwell = (names: readonly string[]) =>
      membership.update(
        all.map((m) => ({ ...m, unwell: names.includes(m.name) })),
        4,
        nowMs,
      );
    unwell(['n3']);
    for (const [shard, targets] of before.entries()) {
      const now = membership.targets(shard, nowMs);
      assert.equal(now.at(-1), N3);
      assert.deepEqual([...now].sort(), [...targets].sort());
      assert.deepEqual(
        now.slice(0, 2),
        targets.filter((id) => id !== N3),
      );
    }
    unwell(['n1', 'n2', 'n3']);
    assert.deepEqual(
      [0, 1, 2, 3].map((shard) => membership.targets(shard, nowMs)),
      before,
    );
  });

  it('prefers who was unwell again once it has been well for five seconds', () => {
    const all = ['n1', 'n2', 'n3'].map((name) => member(name));
    const membership = knowing(...all);
    const before = membership.targets(0, 0);
    const hangs = (name: string | undefined, nowMs: number) =>
      membership.update(
        all.map((m) => ({ ...m, unwell: m.name === name })),
        4,
        nowMs,
      );
    const first = before[0] as string;
    const [name] = ['n1', 'n2', 'n3'].filter((each) => copyId(each, 's') === first);
    const isLast = (nowMs: number) => membership.targets(0, nowMs).at(-1) === first;
    hangs(name, 0);
    assert.ok(isLast(MINUTE));
    hangs(undefined, MINUTE);
    assert.ok(isLast(MINUTE + 4_999));
    // A relapse begins it anew.
    hangs(name, MINUTE + 4_999);
    hangs(undefined, MINUTE + 5_000);
    assert.ok(isLast(MINUTE + 9_999));
    assert.deepEqual(membership.targets(0, MINUTE + 10_000), before);
  });

  it('replaces the vote of a member ten minutes after it died', () => {
    const membership = knowing(member('n2'), member('n3', 'faulty'));
    assert.equal(membership.removable(N3, 9 * MINUTE), 'no');
    assert.equal(membership.removable(N3, 10 * MINUTE), 'replace');
    membership.update([member('n1'), member('n3')], 4, 11 * MINUTE);
    assert.equal(membership.removable(N3, 11 * MINUTE), 'yes');
  });

  it('replaces the vote of somebody unknown ten minutes after it first looked', () => {
    const membership = knowing(member('n2'));
    assert.equal(membership.removable(N3, 20 * MINUTE), 'no');
    assert.equal(membership.removable(N3, 29 * MINUTE), 'no');
    assert.equal(membership.removable(N3, 30 * MINUTE), 'replace');
    // It was known in between: that begins anew.
    membership.update([member('n1'), member('n3', 'faulty')], 4, 31 * MINUTE);
    membership.update([member('n1')], 4, 32 * MINUTE);
    assert.equal(membership.removable(N3, 33 * MINUTE), 'no');
    assert.equal(membership.removable(N3, 43 * MINUTE), 'replace');
  });

  it('remembers a bounded number of those that it does not know', () => {
    const membership = knowing();
    membership.removable(N3, 0);
    for (let n = 0; n < 1024; n++) membership.removable(copyId(`x${n}`, 's'), MINUTE);
    assert.equal(membership.removable(N3, 10 * MINUTE), 'no');
    assert.equal(membership.removable(N3, 20 * MINUTE), 'replace');
  });

  it('gives the vote of a member that left away at once, and counts it no more', () => {
    const membership = knowing(member('n2'), member('n3', 'faulty'));
    assert.equal(copiesWanted(membership, 3), 3);
    membership.update([member('n1'), member('n2'), member('n3', 'left')], 4, 1);
    assert.equal(membership.removable(N3, 1), 'yes');
    assert.equal(copiesWanted(membership, 3), 2);
    assert.ok(membership.gone('n3', 1, 1));
  });

  it('gives a gateway up that nobody has known for ten seconds, as after a restart of all nodes', () => {
    const membership = knowing();
    assert.ok(!membership.gone('n3', 1, 0));
    assert.ok(!membership.gone('n3', 1, 9999));
    assert.ok(membership.gone('n3', 1, 10_000));
    membership.update([member('n1'), member('n3')], 4, 10_001);
    assert.ok(!membership.gone('n3', 1, 10_001));
  });

  it('takes no departure as proof that a process has ended: only a newer one', () => {
    const number = { counter: 1, leader: N3, bootEpoch: 1 };
    assert.equal(knowing(member('n3', 'left')).ended(number), false);
    assert.equal(knowing(member('n3', 'alive', 2)).ended(number), true);
    assert.equal(knowing().ended({ ...number, leader: copyId('n1', 's'), bootEpoch: 0 }), true);
  });
});
