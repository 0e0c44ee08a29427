import assert from 'node:assert/strict';
import { ASSIGN_AHEAD } from '../../src/session/operation/open.ts';
import { TOMBSTONES_MAX } from '../../src/session/retained.ts';
import type { Session } from '../../src/session/session.ts';
import { NEVER_EXPIRES } from '../../src/session/session.ts';
import { ShardState } from '../../src/session/shard-state.ts';
import type { StateObserver } from '../../src/session/state-observer.ts';
import { MESSAGE } from '../samples.ts';
import { Shard, WILL } from './shard.ts';

describe('OPEN and CLOSE', () => {
  it('begin a session where none is: not present [MQTT-3.2.2-3]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    assert.deepEqual([s.birth, s.epoch, s.present, s.connected], [1, 1, false, true]);
    assert.deepEqual(shard.freed, [1]);
  });

  it('resume: queue, subscriptions and birth stay, the epoch is new [MQTT-3.1.2-5]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    shard.subscribe(s, {});
    const message = shard.enqueue(s);
    shard.close(s);
    assert.equal(s.connected, false);
    assert.equal(shard.open('c'), s);
    assert.deepEqual([s.birth, s.epoch, s.present], [1, shard.index, true]);
    assert.deepEqual([...s.refs()], [message]);
    assert.ok(s.subscriptions?.has('f'));
  });

  it('with Clean Start end the session before: all it held is freed [MQTT-3.1.2-4]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    shard.subscribe(s, {});
    const messages = [shard.enqueue(s), shard.enqueue(s)];
    const fresh = shard.open('c', { cleanStart: true });
    assert.deepEqual(shard.freed, [...messages, shard.index]);
    assert.deepEqual([fresh.birth, fresh.present, fresh.pending], [shard.index, false, 0]);
    assert.deepEqual([...shard.state.filters], []);
  });

  it('end a session without expiry with its connection (§3.1.2.11.2)', () => {
    const shard = new Shard();
    const s = shard.open('c', { expirySeconds: 0 });
    const message = shard.enqueue(s);
    const close = shard.close(s);
    assert.equal(shard.state.sessions.size, 0);
    assert.deepEqual(shard.freed, [message, close]);
    const taken = shard.open('d', { expirySeconds: 0 });
    assert.notEqual(shard.open('d'), taken);
  });

  it('fence what an older connection asks for: §9.4, nothing of an epoch after a newer', () => {
    const shard = new Shard();
    const s = shard.open('c');
    const message = shard.enqueue(s);
    shard.rx2(s, 5);
    const old = { clientId: 'c', epoch: s.epoch } as Session;
    shard.open('c');
    const before = shard.state.encode();
    shard.subscribe(old, {});
    shard.unsubscribe(old, 'f');
    shard.ack(old, 0);
    shard.ack(old, 0, 'pubrec');
    shard.rx2(old, 6);
    shard.apply({ type: 'rx2done', clientId: 'c', epoch: old.epoch, packetId: 5 });
    shard.apply({ type: 'assign', clientId: 'c', epoch: old.epoch, upto: 99_999 });
    shard.close(old);
    assert.deepEqual([...s.refs()], [message]);
    assert.deepEqual(
      [s.connected, s.pubrecs, s.rx2?.has(5), s.rx2?.has(6)],
      [true, null, true, false],
    );
    // Nothing but the index and the clock of the last entry is different.
    assert.deepEqual(shard.state.encode().subarray(9), before.subarray(9));
  });

  it('drop messages matched for a session that ended meanwhile', () => {
    const shard = new Shard();
    const ended = shard.open('c');
    const s = shard.open('c', { cleanStart: true });
    const index = shard.enqueue(ended);
    assert.deepEqual([s.pending, shard.freed], [0, [index]]);
  });

  it('say which messages may have been sent before, so that DUP is set [MQTT-3.3.1-1]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    assert.deepEqual([s.dupBelow, s.mark], [0, ASSIGN_AHEAD]);
    for (let i = 0; i < 5; i++) shard.enqueue(s);
    shard.open('c', { sentUpto: 3 });
    assert.deepEqual([s.dupBelow, s.mark], [3, 5 + ASSIGN_AHEAD]);
    // A leader that cannot know takes all for sent; a gateway that closes knows.
    shard.open('c');
    assert.equal(s.dupBelow, 5);
    const other = shard.open('d');
    shard.enqueue(other);
    shard.close(other, { sentUpto: 0 });
    shard.open('d');
    assert.equal(other.dupBelow, 0);
  });
});

describe('session age (counted in logged ticks)', () => {
  it('runs from CLOSE on, as the last expiry given says (§3.14.2.2.2)', () => {
    const shard = new Shard();
    const s = shard.open('c', { expirySeconds: 60 });
    shard.apply({ type: 'tick', elapsedMs: 5000 });
    assert.deepEqual([s.expiresAtMs, shard.state.dated.size], [0, 0]);
    shard.close(s, { abnormal: false, expirySeconds: 7 });
    assert.deepEqual([s.expiresAtMs, shard.state.dated.has(s)], [12_000, true]);
    shard.apply({ type: 'tick', elapsedMs: 60_000 });
    assert.equal(shard.state.clockMs, 65_000);
    // The leader decides; until its EXPIRE is logged the session can be resumed.
    shard.open('c');
    assert.deepEqual([s.present, s.expiresAtMs, shard.state.dated.size], [true, 0, 0]);
  });

  it('begins with CLOSE, not with the tick before it', () => {
    const shard = new Shard();
    const s = shard.open('c', { expirySeconds: 60, will: { ...WILL, delaySeconds: 10 } });
    shard.close(s, { elapsedMs: 4000 });
    assert.deepEqual([shard.state.clockMs, s.expiresAtMs, s.willAtMs], [4000, 64_000, 14_000]);
  });

  it('has no deadline where the session never expires', () => {
    const shard = new Shard();
    shard.close(shard.open('c', { expirySeconds: NEVER_EXPIRES }));
    assert.equal(shard.state.dated.size, 0);
  });

  it('ends by EXPIRE, which spares a connected session and a later one of that name', () => {
    const shard = new Shard();
    const ended: string[] = [];
    const nothing = () => {};
    const observer = { onFilter: nothing, onQueued: nothing, onClosed: nothing, onOwed: nothing };
    const groups = { onGrouped: nothing, onReturned: nothing };
    shard.state.observer = { ...observer, ...groups, onEnded: (s) => ended.push(s.clientId) };
    const s = shard.open('c');
    shard.apply({ type: 'expire', clientId: 'c', birth: s.birth });
    shard.close(s);
    shard.apply({ type: 'expire', clientId: 'c', birth: s.birth + 1 });
    assert.deepEqual(ended, []);
    const message = shard.enqueue(s);
    const index = shard.apply({ type: 'expire', clientId: 'c', birth: s.birth });
    assert.deepEqual([ended, shard.freed], [['c'], [message, index]]);
    assert.deepEqual([shard.state.sessions.size, shard.state.dated.size], [0, 0]);
  });
});

describe('SUB and UNSUB (routes)', () => {
  /** What the leader would announce. */
  function announced(shard: Shard): string[] {
    const heard: string[] = [];
    const nothing = () => {};
    const observer: StateObserver = {
      onFilter: (filter, added) => heard.push(`${added ? '+' : '-'}${filter}`),
      onQueued: nothing,
      onClosed: nothing,
      onOwed: nothing,
      onGrouped: nothing,
      onReturned: nothing,
      onEnded: nothing,
    };
    shard.state.observer = observer;
    return heard;
  }

  it('announce a filter with its first subscription, and withdraw it with its last', () => {
    const shard = new Shard();
    const heard = announced(shard);
    const [a, b] = [shard.open('a'), shard.open('b')];
    shard.subscribe(a, { filter: 'x/#' });
    const version = shard.state.routeVersion;
    shard.subscribe(b, { filter: 'x/#' });
    shard.unsubscribe(a, 'x/#', 'never/there');
    assert.equal(shard.state.routeVersion, version);
    assert.deepEqual([heard, a.subscriptions], [['+x/#'], null]);
    shard.unsubscribe(b, 'x/#');
    assert.deepEqual(heard, ['+x/#', '-x/#']);
    assert.notEqual(shard.state.routeVersion, version);
    assert.deepEqual([shard.state.filters.size, shard.state.tree.size], [0, 0]);
  });

  it('version the route by view and index: what branches made at one index is not taken for equal', () => {
    const versions = [1, 2].map((counter) => {
      const shard = new Shard();
      shard.number = { ...shard.number, counter };
      shard.subscribe(shard.open('c'), { filter: `f${counter}` });
      return shard.state.routeVersion;
    });
    assert.notEqual(versions[0], versions[1]);
  });

  it('keep QoS 0 out of the route of the shard: it goes to gateways', () => {
    const shard = new Shard();
    const heard = announced(shard);
    const s = shard.open('c');
    shard.subscribe(s, { qos: 0 });
    assert.deepEqual([heard, s.subscriptions?.size, shard.state.routeVersion], [[], 1, '0']);
    shard.subscribe(s, { qos: 2 });
    shard.subscribe(s, { qos: 0 });
    shard.unsubscribe(s, 'f');
    assert.deepEqual(heard, ['+f', '-f']);
  });

  it('replace a subscription without a moment in which it is not routed [MQTT-3.8.4-3]', () => {
    const shard = new Shard();
    const heard = announced(shard);
    const s = shard.open('c');
    shard.subscribe(s, { qos: 1, identifier: 1 });
    const since = s.subscriptions?.get('f')?.since;
    shard.subscribe(s, { qos: 2, identifier: 9 });
    assert.deepEqual(heard, ['+f']);
    const found: unknown[] = [];
    shard.state.tree.match('f', (sub) => found.push([sub.qos, sub.identifier, sub.since]));
    assert.deepEqual(found, [[2, 9, since]]);
  });

  it('read retained messages for the filters that want them (§3.3.1.3, Retain Handling)', () => {
    const shard = new Shard();
    const s = shard.open('c');
    const always = { filter: 'a', retainHandling: 0 } as const;
    const fresh = { filter: 'b', retainHandling: 1 } as const;
    const first = shard.subscribe(s, always, fresh, { filter: 'c', retainHandling: 2 });
    assert.deepEqual([s.retaining, s.retainingFilters], [first, ['a', 'b']]);
    const { clientId, birth } = s;
    shard.apply({ type: 'retained-done', clientId, birth, index: first - 1 });
    assert.equal(s.retaining, first);
    shard.apply({ type: 'retained-done', clientId, birth, index: first });
    assert.deepEqual([s.retaining, s.retainingFilters], [0, []]);
    const again = shard.subscribe(s, always, fresh);
    assert.deepEqual([s.retaining, s.retainingFilters], [again, ['a']]);
  });
});

describe('queues, exchanges and retained messages', () => {
  it('keep a message until its last reference is gone: one payload, however many queues', () => {
    const shard = new Shard();
    const sessions = ['a', 'b', 'c'].map((clientId) => shard.open(clientId));
    const message = shard.enqueue(...sessions);
    assert.deepEqual(shard.freed, []);
    for (const s of sessions.slice(0, 2)) {
      const index = shard.ack(s, 0);
      assert.deepEqual(shard.freed, [index]);
    }
    const last = shard.ack(sessions[2]!, 0);
    assert.deepEqual(shard.freed, [message, last]);
    shard.ack(sessions[2]!, 0);
    assert.deepEqual(shard.freed, [shard.index]);
  });

  it('keep a QoS 2 message from PUBREC to PUBCOMP [MQTT-4.3.3-5]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    const message = shard.enqueue(s);
    shard.ack(s, 0, 'pubrec');
    assert.deepEqual([[...(s.pubrecs ?? [])], s.pending], [[0], 1]);
    shard.ack(s, 0, 'pubcomp');
    assert.deepEqual([s.pubrecs, s.pending, shard.freed], [null, 0, [message, shard.index]]);
    shard.ack(s, 0, 'pubrec');
    assert.equal(s.pubrecs, null);
  });

  it('take a QoS 2 message of a client once per Packet Identifier [MQTT-4.3.3-10]', () => {
    const shard = new Shard();
    const s = shard.open('c');
    const first = shard.rx2(s, 7);
    const again = shard.rx2(s, 7);
    assert.deepEqual([[...shard.state.owed.keys()], shard.freed], [[first], [again]]);
    shard.apply({ type: 'rx2done', clientId: 'c', epoch: s.epoch, packetId: 7 });
    assert.equal(s.rx2, null);
    // PUBREL frees the identifier, ENQD the message: it is owed whatever becomes of its publisher.
    const second = shard.rx2(s, 7);
    shard.open('c', { cleanStart: true });
    assert.deepEqual([...shard.state.owed.keys()], [first, second]);
    shard.apply({ type: 'enqd', indexes: [first, second, 99] });
    assert.deepEqual([shard.state.owed.size, shard.freed], [0, [first, second, shard.index]]);
  });

  it('keep the last retained message of a topic, and none after an empty one [MQTT-3.3.1-6]', () => {
    const shard = new Shard();
    const first = shard.retain('a');
    const second = shard.retain('a');
    assert.deepEqual([shard.freed, shard.state.retained.indexOf('a')], [[first], second]);
    shard.retain('a', new Uint8Array(0));
    assert.deepEqual(shard.freed, [second, shard.index]);
    assert.deepEqual([shard.state.retained.size, shard.state.retained.topics.size], [0, 0]);
  });

  it('remember when a topic was last written or cleared, so that a late copy can be told', () => {
    const shard = new Shard();
    assert.equal(shard.state.retained.hlcOf('a'), 0);
    shard.retain('a', undefined, 70);
    assert.equal(shard.state.retained.hlcOf('a'), 70);
    shard.retain('a', new Uint8Array(0), 80);
    assert.equal(shard.state.retained.hlcOf('a'), 80);
    const copy = new ShardState();
    copy.restore(shard.state.encode());
    assert.equal(copy.retained.hlcOf('a'), 80);
    for (let i = 0; i < TOMBSTONES_MAX; i++) shard.retain(`b/${i}`, new Uint8Array(0), 90);
    assert.equal(shard.state.retained.hlcOf('a'), 0);
  });

  it('remember the newest request of each node, and the highest clock', () => {
    const shard = new Shard();
    const tick = { type: 'tick', elapsedMs: 0 } as const;
    shard.apply(tick, { node: 'n', bootEpoch: 2, sequence: 5 }, 50);
    shard.apply(tick, { node: 'n', bootEpoch: 2, sequence: 4 }, 40);
    shard.apply(tick, { node: 'n', bootEpoch: 1, sequence: 9 });
    assert.deepEqual(shard.state.origins.get('n'), { node: 'n', bootEpoch: 2, sequence: 5 });
    assert.equal(shard.state.hlc, 50);
    shard.apply(tick, { node: 'n', bootEpoch: 3, sequence: 1 });
    assert.equal(shard.state.origins.get('n')?.bootEpoch, 3);
  });

  it('keeps a message once for a group that is named twice', () => {
    const shard = new Shard();
    const groups = ['$share/g/f', '$share/g/f', '$share/h/f'];
    const index = shard.apply({ type: 'group', rx2: null, groups, ingress: 'n', message: MESSAGE });
    const waiting = [...shard.state.groups.byKey.values()].map(({ key, messages, bytes }) => [
      key,
      messages.size,
      bytes === messages.get(index)?.bytes,
    ]);
    assert.deepEqual(waiting, [
      ['$share/g/f', 1, true],
      ['$share/h/f', 1, true],
    ]);
    for (const group of ['$share/g/f', '$share/h/f'])
      shard.apply({ type: 'groupdone', items: [{ group, indexes: [index] }] });
    assert.ok(shard.freed.includes(index));
    assert.equal(shard.state.bytes.queued, 0);
  });
});
