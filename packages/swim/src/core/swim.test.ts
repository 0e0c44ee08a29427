import assert from 'node:assert/strict';
import fc from 'fast-check';
import { about, CoreBench, ping } from '../sim/core-bench.ts';
import type { Body } from './message.ts';

describe('Swim', () => {
  it('acknowledges a ping to the address it came from', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    bench.hear('a', ping('me'));
    const [answer] = bench.sent('a', 'ack');
    assert.ok(answer?.body.type === 'ack');
    assert.deepEqual([answer.body.seq, answer.body.target], [7, 'me']);
  });

  it('answers for no other name: the ping hears which member is here', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    bench.hear('a', ping('ghost'));
    const [answer] = bench.sent('a', 'not-me');
    assert.deepEqual(answer?.body, { type: 'not-me', seq: 7, target: 'ghost' });
    assert.equal(answer?.updates[0]?.name, 'me');
    assert.equal(bench.sent('a', 'ack').length, 0);
  });

  it('corrects a prober that believes of a former life or incarnation', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    bench.run(5_000);
    bench.forget();
    bench.hear('a', ping('me', 1, 9));
    assert.equal(bench.sent('a', 'ack')[0]?.updates[0]?.bootEpoch, 10);
  });

  it('keeps every datagram within its budget', () => {
    const bench = CoreBench.started();
    const updates = Array.from({ length: 60 }, (_, n) =>
      about(`member-${n}`, { meta: new Uint8Array(300) }),
    );
    for (const update of updates) bench.hear('a', { type: 'gossip' }, [update]);
    bench.run(5_000);
    const sizes = bench.effects.flatMap((each) => (each.type === 'send' ? each.bytes.length : []));
    assert.ok(sizes.length > 10);
    assert.ok(Math.max(...sizes) <= 1_400, `${Math.max(...sizes)}`);
    assert.ok(Math.max(...sizes) > 1_000);
  });

  it('counts and drops packets of another cluster, another version, and nonsense', () => {
    const bench = CoreBench.started();
    const before = bench.swim.members();
    assert.deepEqual(bench.hear('a', ping('me'), [about('a')], { clusterId: 'd' }), []);
    assert.deepEqual(bench.hear('a', ping('me'), [about('a')], { clusterId: '' }), []);
    bench.step({ type: 'packet', from: 'x:1', bytes: Uint8Array.of(0x53, 9) });
    bench.step({ type: 'packet', from: 'x:1', bytes: Uint8Array.of(1, 2, 3) });
    bench.hear('a', { type: 'sync' }, [about('a')]);
    const { otherCluster, otherVersion, malformed } = bench.swim.counters;
    assert.deepEqual(
      { otherCluster, otherVersion, malformed },
      {
        otherCluster: 2,
        otherVersion: 1,
        malformed: 2,
      },
    );
    assert.equal(before.length, 1);
  });

  it('exchanges everything with a stranger, once a second at most', () => {
    const bench = CoreBench.started();
    for (const name of ['x', 'y', 'z']) bench.hear(name, ping('me'));
    const opened = bench.effects.filter((effect) => effect.type === 'stream-open');
    assert.deepEqual(
      opened.map((effect) => effect.to),
      ['x:1'],
    );
  });

  it('exchanges everything with a peer that holds other members, once gossip is silent', () => {
    const bench = CoreBench.started({ protocolPeriodMs: 60_000 });
    bench.meet('a', 'b');
    const syncs = (): number =>
      bench.effects.filter((each) => each.type === 'stream-open' && each.to === 'a:1').length;
    bench.hear('a', ping('me'));
    bench.run(900);
    bench.hear('a', ping('me'));
    assert.equal(syncs(), 0, 'not while there is news');
    bench.run(200);
    bench.hear('a', ping('me'));
    assert.equal(syncs(), 1);
    bench.step({ type: 'stream-response', requestId: 1, bytes: null });
    for (let n = 0; n < 35; n++) {
      bench.run(100);
      bench.hear('a', ping('me'));
    }
    assert.equal(syncs(), 2, 'at doubling intervals where it does not help');
    const answer = bench.sent('a', 'ack').at(-1)?.body;
    assert.ok(answer?.type === 'ack');
    bench.step({ type: 'stream-response', requestId: 2, bytes: null });
    for (let n = 0; n < 50; n++) {
      bench.run(100);
      bench.hear('a', { ...ping('me'), digest: answer.digest } as Body);
    }
    assert.equal(syncs(), 2, 'not where both hold the same');
  });

  it('lets a timer that was voided fall away', () => {
    const bench = CoreBench.started();
    assert.deepEqual(bench.step({ type: 'timer', token: 123_456 }), []);
    const [timer] = bench.effects.filter((effect) => effect.type === 'timer');
    assert.ok(timer !== undefined);
    bench.nowMs += timer.afterMs;
    bench.step({ type: 'timer', token: timer.token });
    assert.deepEqual(bench.step({ type: 'timer', token: timer.token }), []);
  });

  it('leaves: tells all, ends, and hears nothing any more', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b');
    bench.forget();
    bench.step({ type: 'leave' });
    for (const name of ['a', 'b']) {
      assert.equal(bench.sent(name)[0]?.updates[0]?.state, 'left');
    }
    // Hearsay does not call it back.
    bench.hear('a', { type: 'gossip' }, [about('me', { bootEpoch: 10, state: 'suspect' })]);
    bench.run(1_100);
    assert.equal(bench.effects.filter((effect) => effect.type === 'left').length, 1);
    assert.equal(bench.state('me'), 'left/0');
    bench.forget();
    bench.hear('a', ping('me'));
    bench.run(5_000);
    assert.deepEqual(bench.effects, []);
  });

  it('leaves at once when alone or not started', () => {
    for (const bench of [CoreBench.started(), new CoreBench()]) {
      const effects = bench.step({ type: 'leave' });
      assert.ok(effects.some((effect) => effect.type === 'left'));
    }
  });

  it('speaks to no member and adopts no cluster from a datagram while it has none', () => {
    const bench = CoreBench.started({}, '');
    bench.hear('a', ping('me'), [about('a')]);
    bench.run(3_000);
    assert.deepEqual(bench.sent(), []);
    assert.equal(bench.swim.clusterId, '');
    assert.equal(bench.swim.members().length, 1);
  });

  it('survives any bytes in any event, and any times', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .uint8Array({ maxLength: 60 })
        .map((rest) => Uint8Array.of(0x53, 1, 1, 0x63, 1, 0x61, ...rest)),
    );
    const event = fc.oneof(
      fc.record({ type: fc.constant('packet' as const), from: fc.string(), bytes }),
      fc.record({
        type: fc.constant('stream-request' as const),
        streamId: fc.nat(5),
        from: fc.string(),
        bytes,
      }),
      fc.record({ type: fc.constant('stream-response' as const), requestId: fc.nat(5), bytes }),
      fc.record({ type: fc.constant('timer' as const), token: fc.nat(20) }),
      fc.record({ type: fc.constant('join' as const), address: fc.string(), requestId: fc.nat(9) }),
      fc.record({ type: fc.constant('probe-now' as const), name: fc.string() }),
      fc.record({ type: fc.constant('seeds' as const), seeds: fc.array(fc.string()) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(1_000)), { maxLength: 40 }), (events) => {
        const bench = CoreBench.started();
        bench.meet('a', 'b');
        for (const [each, afterMs] of events) {
          bench.nowMs += afterMs;
          bench.step(each);
        }
        assert.ok(bench.swim.members().some((member) => member.name === 'me'));
      }),
    );
  });
});
