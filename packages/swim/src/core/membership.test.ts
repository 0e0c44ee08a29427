import assert from 'node:assert/strict';
import { about, CoreBench, ping } from '../sim/core-bench.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import { INCARNATION_MAX } from './message.ts';

describe('Swim: what is believed of whom', () => {
  it('refutes suspicion, verdict and departure with a higher incarnation, at once', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    for (const [n, state] of (['suspect', 'faulty', 'left'] as const).entries()) {
      bench.forget();
      const said = about('me', { bootEpoch: 10, incarnation: n, state, address: 'me:1' });
      bench.hear('a', { type: 'gossip' }, [said]);
      assert.equal(bench.state('me'), `alive/${n + 1}`);
      const [answer] = bench.sent('a');
      assert.equal(answer?.updates[0]?.name, 'me');
      assert.equal(answer?.updates[0]?.state, 'alive');
    }
    bench.hear('a', { type: 'gossip' }, [about('me', { bootEpoch: 10, state: 'faulty' })]);
    assert.equal(bench.state('me'), 'alive/3');
    assert.equal(bench.swim.counters.refutes, 3);
  });

  it('passes a suspicion on as that of a member that looked, whichever member asks', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'x');
    bench.hear('b', { type: 'gossip' }, [about('x', { state: 'suspect', accuser: 'a' })]);
    bench.forget();
    // By exchange of the whole state, by gossip, and in an answer.
    const header = { version: 1, clusterId: 'c', name: 'b', bootEpoch: 1 };
    const bytes = encodeMessage(header, { type: 'sync' }, []);
    bench.step({ type: 'stream-request', streamId: 1, from: 'b:1', bytes });
    bench.run(300);
    bench.hear('c', ping('me'));
    const replies = bench.effects.flatMap((effect) =>
      effect.type === 'stream-reply' && effect.bytes !== null ? [decodeMessage(effect.bytes)] : [],
    );
    // The suspect itself is told whom to answer.
    const sent = ['a', 'b', 'c'].flatMap((name) => bench.sent(name));
    const said = [...replies, ...sent].flatMap((message) =>
      typeof message === 'string' ? [] : message.updates.filter(({ name }) => name === 'x'),
    );
    assert.ok(said.length >= 2, `${said.length}`);
    assert.deepEqual([...new Set(said.map(({ accuser }) => accuser))], ['a']);
  });

  it('takes the verdict of another member as no accusation of a third', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'x');
    bench.forget();
    // It comes from b, and who gave it is not known.
    bench.hear('b', { type: 'gossip' }, [about('x', { state: 'faulty' })]);
    bench.run(300);
    const said = bench.sent().flatMap(({ updates }) => updates.filter(({ name }) => name === 'x'));
    const suspicions = said.filter(({ state }) => state === 'suspect');
    assert.ok(suspicions.length > 0);
    assert.ok(suspicions.every(({ accuser }) => accuser !== 'b'));
  });

  it('does not fight a newer process of its name, but tells the operator', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    const effects = bench.hear('a', { type: 'gossip' }, [
      about('me', { bootEpoch: 11, address: 'x:1' }),
    ]);
    assert.deepEqual(
      effects.filter((effect) => effect.type === 'notice'),
      [{ type: 'notice', code: 'SWIM_ERR_NAME_CONFLICT', address: 'x:1' }],
    );
    assert.equal(bench.state('me'), 'alive/0');
  });

  it('doubts itself as soon as it is told of a stall, and judges no probe of before', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    bench.step({ type: 'probe-now', name: 'a' });
    bench.run(210);
    bench.nowMs += 180;
    bench.step({ type: 'stalled' });
    assert.equal(bench.swim.localHealth, 1);
    // What is due is not late: the stall alone puts the verdict off.
    bench.run(15);
    assert.equal(bench.state('a'), 'alive/0');
    assert.equal(bench.swim.counters.probesRearmed, 1);
    bench.step({ type: 'stalled' });
    assert.equal(bench.swim.counters.stalls, 1);
  });

  it('ends no suspicion right after a stall: the refutation may be on its way in', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    const before = bench.nowMs;
    while (bench.state('a') === 'suspect/0' && bench.nowMs < before + 20_000) bench.run(1);
    const lastedMs = bench.nowMs - before;

    const stalled = CoreBench.started();
    stalled.meet('a', 'b', 'c', 'd');
    stalled.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    stalled.run(lastedMs - 10);
    stalled.step({ type: 'stalled' });
    stalled.run(100);
    assert.equal(stalled.state('a'), 'suspect/0');
    stalled.run(400);
    assert.equal(stalled.state('a'), 'faulty/0');
  });

  it('puts off the end of a suspicion that a stall held up', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    bench.stall(20_000);
    assert.equal(bench.state('a'), 'suspect/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
  });

  it('ends no suspicion on time while another timer is overdue: a part of the process stalls', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'd');
    const suspicion = [about('a', { state: 'suspect', accuser: 'b' })];
    const timer = bench
      .hear('b', { type: 'gossip' }, suspicion)
      .find((effect) => effect.type === 'timer' && effect.task.kind === 'suspicion');
    assert.ok(timer?.type === 'timer');
    bench.nowMs += timer.afterMs;
    bench.step({ type: 'timer', token: timer.token });
    assert.equal(bench.state('a'), 'suspect/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
  });

  it('tells a suspect once more before its time is up, and a member that tells an outdated one is told', () => {
    const bench = CoreBench.started({ protocolPeriodMs: 60_000, probeTimeoutMs: 500 });
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
    // Gossip about it has long ended.
    bench.run(120_000);
    bench.forget();
    while (bench.state('a') === 'suspect/0' && bench.sent('a').length === 0) bench.run(100);
    assert.equal(bench.state('a'), 'suspect/0');
    assert.deepEqual(
      bench.sent('a', 'gossip').map(({ updates }) => [updates[0]?.name, updates[0]?.state]),
      [['a', 'suspect']],
    );
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
    // The other side of it.
    const said = { bootEpoch: 10, state: 'suspect', accuser: 'b', address: 'me:1' } as const;
    bench.hear('b', { type: 'gossip' }, [about('me', said)]);
    bench.run(60_000);
    bench.forget();
    bench.hear('c', { type: 'gossip' }, [about('me', { ...said, accuser: 'c' })]);
    assert.equal(bench.state('me'), 'alive/1');
    const [answer] = bench.sent('c', 'gossip');
    assert.deepEqual([answer?.updates[0]?.name, answer?.updates[0]?.incarnation], ['me', 1]);
  });

  it('shortens a suspicion with each independent accuser, and passes that on', () => {
    const ends = (accusers: readonly string[]): number => {
      const bench = CoreBench.started({ protocolPeriodMs: 1_000, probeTimeoutMs: 500 });
      bench.meet('a', 'b', 'c', 'd', 'e');
      for (const accuser of accusers) {
        bench.hear(accuser, { type: 'gossip' }, [about('a', { state: 'suspect', accuser })]);
      }
      const startMs = bench.nowMs;
      while (bench.state('a') !== 'faulty/0' && bench.nowMs < startMs + 20_000) bench.run(10);
      return bench.nowMs - startMs;
    };
    // Its own probes confirm, too: bounds rather than exact times.
    assert.ok(ends(['b']) > 3_500);
    assert.ok(ends(['b', 'b', 'b', 'b']) > 3_500);
    const shortest = ends(['b', 'c', 'd', 'e']);
    assert.ok(shortest >= 2_990 && shortest <= 3_100, `${shortest}`);
  });

  it("gives the shortest timeout to refute, whatever another's verdict", () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'd');
    for (let n = 0; n < 3; n++) {
      bench.hear('b', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
      assert.equal(bench.state('a'), 'suspect/0');
      bench.run(300);
    }
    bench.run(400);
    assert.equal(bench.state('a'), 'faulty/0');
    assert.deepEqual(bench.swim.counters.declaredFaulty, 1);
  });

  it('makes a faulty member count as left on the word of an operator only', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b');
    const forceLeave = (name: string) => bench.step({ type: 'force-leave', name });
    for (const name of ['a', 'me', 'nobody']) assert.deepEqual(forceLeave(name), []);
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    assert.deepEqual(forceLeave('a'), []);
    bench.run(5_000);
    assert.equal(bench.state('a'), 'faulty/0');
    bench.hear('b', { type: 'gossip' }, [about('b', { incarnation: 1 })]);
    bench.forget();
    forceLeave('a');
    assert.equal(bench.state('a'), 'left/0');
    bench.run(300);
    const told = bench.sent('b').flatMap((message) => message.updates);
    const update = told.find(({ name }) => name === 'a');
    assert.deepEqual([update?.state, update?.accuser], ['left', 'me']);
    // It is asked now and then, like a faulty one, and told so that it may object.
    bench.forget();
    bench.run(10_000);
    const pings = bench.sent('a', 'ping');
    assert.ok(pings.length > 0 && pings.length <= 11, `${pings.length}`);
    assert.deepEqual(
      pings[0]?.updates.filter(({ name }) => name === 'a').map(({ state }) => state),
      ['left'],
    );
    bench.hear('a', { type: 'gossip' }, [about('a')]);
    assert.equal(bench.state('a'), 'left/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
  });

  it('forgets that a member was removed when it is born again', () => {
    const bench = CoreBench.started();
    bench.meet('b');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'left', accuser: 'b' })]);
    assert.equal(bench.state('a'), 'left/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { bootEpoch: 2 })], { bootEpoch: 2 });
    assert.equal(bench.state('a'), 'alive/0');
  });

  it('gives a member that it holds to be present the time to refute its removal', () => {
    const removed = about('a', { state: 'left', accuser: 'b' });
    const bench = CoreBench.started();
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [removed]);
    assert.equal(bench.state('a'), 'suspect/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
    bench.run(1_300);
    assert.match(bench.state('a') as string, /^(alive|suspect)\/1$/);

    const silent = CoreBench.started();
    silent.meet('a', 'b', 'c', 'd');
    silent.hear('b', { type: 'gossip' }, [removed]);
    silent.hear('c', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
    silent.run(1_300);
    assert.equal(silent.state('a'), 'left/0');

    const faulty = CoreBench.started();
    faulty.meet('b');
    faulty.hear('b', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
    faulty.hear('b', { type: 'gossip' }, [removed]);
    assert.equal(faulty.state('a'), 'left/0');
    // Said by itself, it needs no proof.
    faulty.meet('c');
    faulty.hear('c', { type: 'gossip' }, [about('c', { state: 'left' })]);
    assert.equal(faulty.state('c'), 'left/0');
  });

  it('tells a suspect first of all what it is accused of (Lifeguard, buddy system)', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    bench.run(200);
    bench.forget();
    bench.hear('a', ping('me'));
    const [first] = bench.sent('a', 'ack')[0]?.updates ?? [];
    assert.equal(first?.name, 'a');
    assert.equal(first?.state, 'suspect');
  });

  it('turns newcomers away when full, unless a dead member can make room', () => {
    const bench = CoreBench.started({ membersMax: 3 });
    bench.meet('a', 'b', 'c');
    assert.equal(bench.state('c'), undefined);
    assert.equal(bench.swim.counters.membersRefused, 1);
    bench.hear('a', { type: 'gossip' }, [about('b', { state: 'left' })]);
    bench.meet('c');
    assert.equal(bench.state('c'), 'alive/0');
    assert.equal(bench.state('b'), undefined);
  });

  it('ignores a ghost of a former life, and tells it what is known', () => {
    const bench = CoreBench.started();
    bench.hear('a', { type: 'gossip' }, [about('a', { bootEpoch: 5 })], { bootEpoch: 5 });
    bench.forget();
    bench.hear('a', ping('me'), [about('b')], { bootEpoch: 4 });
    assert.equal(bench.state('b'), undefined);
    const [answer] = bench.sent('a');
    assert.equal(answer?.body.type, 'gossip');
    assert.equal(answer?.updates[0]?.bootEpoch, 5);
  });

  it('raises its incarnation with its metadata, and refuses more than 512 bytes', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    bench.step({ type: 'set-meta', meta: Uint8Array.of(9, 9) });
    assert.equal(bench.state('me'), 'alive/1');
    bench.run(200);
    const told = bench.sent('a').flatMap((message) => message.updates);
    assert.deepEqual([...(told.find((update) => update.name === 'me')?.meta ?? [])], [9, 9]);
    assert.throws(() => bench.step({ type: 'set-meta', meta: new Uint8Array(513) }), {
      code: 'SWIM_ERR_META_TOO_LARGE',
    });
    assert.equal(bench.state('me'), 'alive/1');
  });

  it('refutes up to the highest incarnation, and tells the operator at it', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    const accuse = (incarnation: number): void => {
      const said = about('me', { bootEpoch: 10, incarnation, state: 'suspect', address: 'me:1' });
      bench.hear('a', { type: 'gossip' }, [said]);
    };
    const notices = (): number =>
      bench.effects.filter(
        (effect) => effect.type === 'notice' && effect.code === 'SWIM_ERR_INCARNATION',
      ).length;
    accuse(INCARNATION_MAX - 2);
    assert.equal(bench.state('me'), `alive/${INCARNATION_MAX - 1}`);
    accuse(INCARNATION_MAX - 1);
    assert.equal(bench.state('me'), `alive/${INCARNATION_MAX}`);
    assert.equal(notices(), 0);
    accuse(INCARNATION_MAX);
    bench.step({ type: 'set-meta', meta: Uint8Array.of(9) });
    assert.equal(bench.state('me'), `alive/${INCARNATION_MAX}`);
    assert.deepEqual(bench.swim.member('me')?.meta, Uint8Array.of(1));
    assert.equal(notices(), 1);
    assert.equal(bench.swim.counters.refutes, 2);
  });

  it('believes a new boot epoch over the highest incarnation of the former life', () => {
    const bench = CoreBench.started();
    bench.meet('a', 'b');
    const forged = about('a', { incarnation: INCARNATION_MAX, state: 'left' });
    bench.hear('b', { type: 'gossip' }, [forged]);
    assert.equal(bench.state('a'), `left/${INCARNATION_MAX}`);
    bench.hear('a', { type: 'gossip' }, [about('a', { bootEpoch: 2 })], { bootEpoch: 2 });
    assert.equal(bench.state('a'), 'alive/0');
  });
});
