import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import { Prng } from '../sim/prng.ts';
import { decodeMessage, encodeMessage, encodeUpdate } from './codec.ts';
import type { SwimEffect, SwimEvent } from './event.ts';
import { type Body, type Message, SWIM_VERSIONS, type Update } from './message.ts';
import { Swim } from './swim.ts';

/** Fit for counting in one's head; three members' shortest suspicion lasts 1.2 s. */
const ROUND_TIMINGS: SwimConfigInput = {
  fallbackProbe: false,
  protocolPeriodMs: 400,
  probeTimeoutMs: 200,
  suspicionMult: 3 / Math.log10(32),
  suspicionMaxMult: 2,
  gossipIntervalMs: 100,
};

/** One core, and hands to play every other member by. */
class Bench {
  readonly swim: Swim;
  nowMs = 1_000;
  /** What the core wanted since it was last asked. */
  effects: SwimEffect[] = [];
  private timers: { token: number; atMs: number }[] = [];

  constructor(config: SwimConfigInput = {}, clusterId = 'c') {
    const prng = new Prng('bench');
    this.swim = new Swim({
      config: swimConfig({ ...ROUND_TIMINGS, ...config }),
      name: 'me',
      bootEpoch: 10,
      clusterId,
      address: 'me:1',
      meta: Uint8Array.of(1),
      random: () => prng.next(),
    });
  }

  static started(config: SwimConfigInput = {}, clusterId = 'c'): Bench {
    const bench = new Bench(config, clusterId);
    bench.step({ type: 'start', seeds: [] });
    return bench;
  }

  step(event: SwimEvent): SwimEffect[] {
    const effects = this.swim.step(event, this.nowMs);
    for (const effect of effects) {
      if (effect.type === 'timer') {
        this.timers.push({ token: effect.token, atMs: this.nowMs + effect.afterMs });
      }
    }
    this.effects.push(...effects);
    return effects;
  }

  /** Lets time pass, timers coming on time. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      this.timers.sort((x, y) => x.atMs - y.atMs);
      const next = this.timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.timers.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.step({ type: 'timer', token: next.token });
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }

  /** Time passes and nothing runs: then everything due comes late, at once. */
  stall(durationMs: number): void {
    this.nowMs += durationMs;
    const late = this.timers.filter((timer) => timer.atMs <= this.nowMs);
    this.timers = this.timers.filter((timer) => timer.atMs > this.nowMs);
    late.sort((x, y) => x.atMs - y.atMs);
    for (const { token } of late) this.step({ type: 'timer', token });
  }

  hear(
    name: string,
    body: Body,
    updates: readonly Update[] = [],
    header: { clusterId?: string; bootEpoch?: number } = {},
  ): SwimEffect[] {
    const { clusterId = 'c', bootEpoch = 1 } = header;
    const bytes = encodeMessage(
      { version: 1, clusterId, name, bootEpoch },
      body,
      updates.map(encodeUpdate),
    );
    return this.step({ type: 'packet', from: `${name}:1`, bytes });
  }

  /** Makes members known as alive. */
  meet(...names: string[]): void {
    for (const name of names) this.hear(name, { type: 'gossip' }, [about(name)]);
  }

  /** Messages sent since last asked; to one member, and of one type, if given. */
  sent(to?: string, type?: Body['type']): Message[] {
    const messages: Message[] = [];
    for (const effect of this.effects) {
      if (effect.type !== 'send' || (to !== undefined && effect.to !== `${to}:1`)) continue;
      const message = decodeMessage(effect.bytes);
      assert.ok(typeof message !== 'string');
      if (type === undefined || message.body.type === type) messages.push(message);
    }
    return messages;
  }

  forget(): void {
    this.effects = [];
  }

  state(name: string): string | undefined {
    const member = this.swim.members().find((each) => each.name === name);
    return member === undefined ? undefined : `${member.state}/${member.incarnation}`;
  }
}

function about(name: string, changes: Partial<Update> = {}): Update {
  return {
    name,
    bootEpoch: 1,
    incarnation: 0,
    state: 'alive',
    address: `${name}:1`,
    meta: new Uint8Array(),
    unwell: false,
    versions: SWIM_VERSIONS,
    ageS: 0,
    accuser: '',
    ...changes,
  };
}

function ping(target: string, seq = 7, targetBootEpoch = 10, targetIncarnation = 0): Body {
  return { type: 'ping', seq, digest: 0, target, targetBootEpoch, targetIncarnation };
}

describe('Swim', () => {
  it('acknowledges a ping to the address it came from', () => {
    const bench = Bench.started();
    bench.meet('a');
    bench.hear('a', ping('me'));
    const [answer] = bench.sent('a', 'ack');
    assert.ok(answer?.body.type === 'ack');
    assert.deepEqual([answer.body.seq, answer.body.target], [7, 'me']);
  });

  it('answers for nobody else: a ping for another name hears who is here', () => {
    const bench = Bench.started();
    bench.meet('a');
    bench.hear('a', ping('ghost'));
    const [answer] = bench.sent('a', 'not-me');
    assert.deepEqual(answer?.body, { type: 'not-me', seq: 7, target: 'ghost' });
    assert.equal(answer?.updates[0]?.name, 'me');
    assert.equal(bench.sent('a', 'ack').length, 0);
  });

  it('corrects a prober that believes of a former life or incarnation', () => {
    const bench = Bench.started();
    bench.meet('a');
    bench.run(5_000);
    bench.forget();
    bench.hear('a', ping('me', 1, 9));
    assert.equal(bench.sent('a', 'ack')[0]?.updates[0]?.bootEpoch, 10);
  });

  it('refutes suspicion, verdict and departure with a higher incarnation, at once', () => {
    const bench = Bench.started();
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

  it('does not fight a newer process of its name, but tells the operator', () => {
    const bench = Bench.started();
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

  it('asks k helpers after the probe timeout, and suspects at the end of the period', () => {
    const bench = Bench.started({ indirectProbes: 2 });
    bench.meet('a', 'b', 'c');
    bench.step({ type: 'probe-now', name: 'a' });
    assert.equal(bench.sent('a', 'ping').length, 1);
    const startMs = bench.nowMs;
    bench.forget();
    bench.run(200);
    const requests = [...bench.sent('b', 'ping-req'), ...bench.sent('c', 'ping-req')];
    assert.equal(requests.length, 2);
    for (const { body } of requests) {
      assert.ok(body.type === 'ping-req' && body.target === 'a');
      assert.ok(body.remainingMs > 150 && body.remainingMs <= 200);
    }
    bench.run(150);
    assert.equal(bench.state('a'), 'alive/0');
    bench.run(startMs + 400 - bench.nowMs);
    assert.equal(bench.state('a'), 'suspect/0');
  });

  it('is content with an ack through a helper', () => {
    const bench = Bench.started();
    bench.meet('a', 'b');
    bench.step({ type: 'probe-now', name: 'a' });
    bench.run(210);
    const request = bench.sent('b', 'ping-req')[0]?.body;
    assert.ok(request?.type === 'ping-req');
    bench.hear('b', { type: 'ack', seq: request.seq, digest: 0, target: 'a' });
    bench.run(250);
    assert.equal(bench.state('a'), 'alive/0');
  });

  it('takes no ack for another target, and none that was not asked for', () => {
    const bench = Bench.started();
    bench.meet('a', 'b');
    bench.step({ type: 'probe-now', name: 'a' });
    const asked = bench.sent('a', 'ping')[0]?.body;
    assert.ok(asked?.type === 'ping');
    bench.hear('b', { type: 'ack', digest: 0, seq: asked.seq, target: 'b' });
    bench.hear('a', { type: 'ack', digest: 0, seq: asked.seq + 5, target: 'a' });
    bench.run(410);
    assert.equal(bench.state('a'), 'suspect/0');
  });

  it('helps: pings the target, passes its ack on, and nacks at 80 % of the time left', () => {
    const bench = Bench.started();
    bench.meet('a', 'b');
    bench.forget();
    const target = { target: 'b', targetBootEpoch: 1, targetIncarnation: 0 };
    bench.hear('a', { type: 'ping-req', seq: 99, remainingMs: 200, ...target });
    const asked = bench.sent('b', 'ping')[0]?.body;
    assert.ok(asked?.type === 'ping');
    bench.run(155);
    assert.equal(bench.sent('a', 'nack').length, 0);
    bench.run(10);
    assert.deepEqual(bench.sent('a', 'nack')[0]?.body, { type: 'nack', seq: 99, target: 'b' });
    bench.hear('b', { type: 'ack', digest: 0, seq: asked.seq, target: 'b' });
    const [passedOn] = bench.sent('a', 'ack');
    assert.ok(passedOn?.body.type === 'ack');
    assert.deepEqual([passedOn.body.seq, passedOn.body.target], [99, 'b']);
  });

  it('does not vouch for its own hearing after a stall: no nack then', () => {
    const bench = Bench.started();
    bench.meet('a', 'b');
    const target = { target: 'b', targetBootEpoch: 1, targetIncarnation: 0 };
    bench.hear('a', { type: 'ping-req', seq: 99, remainingMs: 200, ...target });
    bench.forget();
    bench.stall(1_000);
    assert.equal(bench.sent('a', 'nack').length, 0);
  });

  it('nacks at once for a target it does not know', () => {
    const bench = Bench.started();
    bench.meet('a');
    const target = { target: 'x', targetBootEpoch: 1, targetIncarnation: 0 };
    bench.hear('a', { type: 'ping-req', seq: 99, remainingMs: 200, ...target });
    assert.equal(bench.sent('a', 'nack').length, 1);
  });

  it('keeps its own health where helpers nack, and doubts it where they are silent', () => {
    for (const [nacks, score] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const bench = Bench.started({ protocolPeriodMs: 400 });
      bench.meet('a', 'b', 'c');
      bench.step({ type: 'probe-now', name: 'a' });
      bench.run(205);
      for (const helper of ['b', 'c']) {
        const body = bench.sent(helper, 'ping-req')[0]?.body;
        assert.ok(body?.type === 'ping-req');
        if (nacks) bench.hear(helper, { type: 'nack', seq: body.seq, target: 'a' });
      }
      bench.run(195);
      assert.equal(bench.state('a'), 'suspect/0');
      assert.equal(bench.swim.localHealth, score);
    }
  });

  it('accuses nobody after a stall, but asks again', () => {
    const bench = Bench.started();
    bench.meet('a');
    bench.step({ type: 'probe-now', name: 'a' });
    bench.forget();
    bench.stall(5_000);
    assert.equal(bench.state('a'), 'alive/0');
    const again = bench.sent('a', 'ping')[0]?.body;
    assert.ok(again?.type === 'ping');
    assert.equal(bench.swim.counters.stalls, 1);
    bench.hear('a', { type: 'ack', digest: 0, seq: again.seq, target: 'a' });
    assert.equal(bench.state('a'), 'alive/0');
  });

  it('asks again before a verdict that a stall held up: the answers may be lost with it', () => {
    const bench = Bench.started();
    bench.meet('a');
    bench.step({ type: 'probe-now', name: 'a' });
    bench.run(250);
    bench.forget();
    bench.stall(5_000);
    assert.ok(bench.sent('a', 'ping').length > 0);
    bench.run(150);
    assert.equal(bench.state('a'), 'alive/0');
    bench.run(400);
    assert.equal(bench.state('a'), 'suspect/0');
  });

  it('puts off the end of a suspicion that a stall held up', () => {
    const bench = Bench.started();
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    bench.stall(20_000);
    assert.equal(bench.state('a'), 'suspect/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
  });

  it('shortens a suspicion with each independent accuser, and passes that on', () => {
    const ends = (accusers: readonly string[]): number => {
      const bench = Bench.started({ protocolPeriodMs: 1_000, probeTimeoutMs: 500 });
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
    const bench = Bench.started();
    bench.meet('a', 'b', 'c', 'd');
    for (let n = 0; n < 3; n += 1) {
      bench.hear('b', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
      assert.equal(bench.state('a'), 'suspect/0');
      bench.run(300);
    }
    bench.run(400);
    assert.equal(bench.state('a'), 'faulty/0');
    assert.deepEqual(bench.swim.counters.declaredFaulty, 1);
  });

  it('makes a faulty member count as left on the word of an operator, and nobody else', () => {
    const bench = Bench.started();
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
    const bench = Bench.started();
    bench.meet('b');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'left', accuser: 'b' })]);
    assert.equal(bench.state('a'), 'left/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { bootEpoch: 2 })], { bootEpoch: 2 });
    assert.equal(bench.state('a'), 'alive/0');
  });

  it('gives a member that it holds to be present the time to refute its removal', () => {
    const removed = about('a', { state: 'left', accuser: 'b' });
    const bench = Bench.started();
    bench.meet('a', 'b', 'c', 'd');
    bench.hear('b', { type: 'gossip' }, [removed]);
    assert.equal(bench.state('a'), 'suspect/0');
    bench.hear('a', { type: 'gossip' }, [about('a', { incarnation: 1 })]);
    assert.equal(bench.state('a'), 'alive/1');
    bench.run(1_300);
    assert.match(bench.state('a') as string, /^(alive|suspect)\/1$/);

    const silent = Bench.started();
    silent.meet('a', 'b', 'c', 'd');
    silent.hear('b', { type: 'gossip' }, [removed]);
    silent.hear('c', { type: 'gossip' }, [about('a', { state: 'faulty' })]);
    silent.run(1_300);
    assert.equal(silent.state('a'), 'left/0');

    const faulty = Bench.started();
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
    const bench = Bench.started();
    bench.meet('a', 'b');
    bench.hear('b', { type: 'gossip' }, [about('a', { state: 'suspect', accuser: 'b' })]);
    bench.run(200);
    bench.forget();
    bench.hear('a', ping('me'));
    const [first] = bench.sent('a', 'ack')[0]?.updates ?? [];
    assert.equal(first?.name, 'a');
    assert.equal(first?.state, 'suspect');
  });

  it('keeps every datagram within its budget', () => {
    const bench = Bench.started();
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

  it('turns newcomers away when full, unless a dead member can make room', () => {
    const bench = Bench.started({ membersMax: 3 });
    bench.meet('a', 'b', 'c');
    assert.equal(bench.state('c'), undefined);
    assert.equal(bench.swim.counters.membersRefused, 1);
    bench.hear('a', { type: 'gossip' }, [about('b', { state: 'left' })]);
    bench.meet('c');
    assert.equal(bench.state('c'), 'alive/0');
    assert.equal(bench.state('b'), undefined);
  });

  it('counts and drops packets of another cluster, another version, and nonsense', () => {
    const bench = Bench.started();
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

  it('ignores a ghost of a former life, and tells it what is known', () => {
    const bench = Bench.started();
    bench.hear('a', { type: 'gossip' }, [about('a', { bootEpoch: 5 })], { bootEpoch: 5 });
    bench.forget();
    bench.hear('a', ping('me'), [about('b')], { bootEpoch: 4 });
    assert.equal(bench.state('b'), undefined);
    const [answer] = bench.sent('a');
    assert.equal(answer?.body.type, 'gossip');
    assert.equal(answer?.updates[0]?.bootEpoch, 5);
  });

  it('exchanges everything with a stranger, once a second at most', () => {
    const bench = Bench.started();
    for (const name of ['x', 'y', 'z']) bench.hear(name, ping('me'));
    const opened = bench.effects.filter((effect) => effect.type === 'stream-open');
    assert.deepEqual(
      opened.map((effect) => effect.to),
      ['x:1'],
    );
  });

  it('exchanges everything with a peer that holds other members, once gossip is silent', () => {
    const bench = Bench.started({ protocolPeriodMs: 60_000 });
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
    for (let n = 0; n < 35; n += 1) {
      bench.run(100);
      bench.hear('a', ping('me'));
    }
    assert.equal(syncs(), 2, 'at doubling intervals where it does not help');
    const answer = bench.sent('a', 'ack').at(-1)?.body;
    assert.ok(answer?.type === 'ack');
    bench.step({ type: 'stream-response', requestId: 2, bytes: null });
    for (let n = 0; n < 50; n += 1) {
      bench.run(100);
      bench.hear('a', { ...ping('me'), digest: answer.digest } as Body);
    }
    assert.equal(syncs(), 2, 'not where both hold the same');
  });

  it('lets a timer that was voided fall away', () => {
    const bench = Bench.started();
    assert.deepEqual(bench.step({ type: 'timer', token: 123_456 }), []);
    const [timer] = bench.effects.filter((effect) => effect.type === 'timer');
    assert.ok(timer !== undefined);
    bench.nowMs += timer.afterMs;
    bench.step({ type: 'timer', token: timer.token });
    assert.deepEqual(bench.step({ type: 'timer', token: timer.token }), []);
  });

  it('raises its incarnation with its metadata, and refuses more than 512 bytes', () => {
    const bench = Bench.started();
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

  it('leaves: tells all, ends, and hears nothing any more', () => {
    const bench = Bench.started();
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
    for (const bench of [Bench.started(), new Bench()]) {
      const effects = bench.step({ type: 'leave' });
      assert.ok(effects.some((effect) => effect.type === 'left'));
    }
  });

  it('speaks to no member and adopts no cluster from a datagram while it has none', () => {
    const bench = Bench.started({}, '');
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
        const bench = Bench.started();
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
