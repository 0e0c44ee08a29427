import assert from 'node:assert/strict';
import { about, CoreBench } from '../sim/core-bench.ts';
import { decodeMessage, encodeMessage } from './codec.ts';

describe('an answer that the target is gone from its address', () => {
  /** @returns the state of a after a ping of it was answered from there */
  function answeredFrom(address: string, from: string): string | undefined {
    const bench = CoreBench.started();
    bench.hear('a', { type: 'gossip' }, [about('a', { address })]);
    bench.meet('b');
    bench.step({ type: 'probe-now', name: 'a' });
    const ping = bench.effects.flatMap((effect) => {
      const message = effect.type === 'send' && decodeMessage(effect.bytes);
      return message && message !== 'malformed' && message !== 'other-version'
        ? [message.body]
        : [];
    });
    const asked = ping.find((body) => body.type === 'ping' && body.target === 'a');
    assert.ok(asked?.type === 'ping');
    const header = { version: 1, clusterId: 'c', name: 'b', bootEpoch: 1 };
    const bytes = encodeMessage(header, { type: 'not-me', seq: asked.seq, target: 'a' }, []);
    bench.step({ type: 'packet', from, bytes });
    return bench.state('a');
  }

  it('is believed from the address that was probed, and from nowhere else', () => {
    assert.equal(answeredFrom('10.0.0.1:7', '10.0.0.1:7'), 'faulty/0');
    assert.equal(answeredFrom('10.0.0.1:7', '10.0.0.2:7'), 'alive/0');
    assert.equal(answeredFrom('10.0.0.1:7', '10.0.0.1:8'), 'alive/0');
    assert.equal(answeredFrom('[fd00::1]:7', '[fd00::2]:7'), 'alive/0');
    // Of a name it is not known where it leads.
    assert.equal(answeredFrom('node-a:7', '10.0.0.2:7'), 'faulty/0');
    assert.equal(answeredFrom('node-a:7', '10.0.0.2:8'), 'alive/0');
  });
});

describe('Swim: probes', () => {
  it('asks k helpers after the probe timeout, and suspects at the end of the period', () => {
    const bench = CoreBench.started({ indirectProbes: 2 });
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
    const bench = CoreBench.started();
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
    const bench = CoreBench.started();
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
    const bench = CoreBench.started();
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
    const bench = CoreBench.started();
    bench.meet('a', 'b');
    const target = { target: 'b', targetBootEpoch: 1, targetIncarnation: 0 };
    bench.hear('a', { type: 'ping-req', seq: 99, remainingMs: 200, ...target });
    bench.forget();
    bench.stall(1_000);
    assert.equal(bench.sent('a', 'nack').length, 0);
  });

  it('nacks at once for a target it does not know', () => {
    const bench = CoreBench.started();
    bench.meet('a');
    const target = { target: 'x', targetBootEpoch: 1, targetIncarnation: 0 };
    bench.hear('a', { type: 'ping-req', seq: 99, remainingMs: 200, ...target });
    assert.equal(bench.sent('a', 'nack').length, 1);
  });

  it('keeps its own health where helpers nack, and doubts it where they are silent', () => {
    for (const [nacks, score] of [
      [true, 0],
      [false, 2],
    ] as const) {
      const bench = CoreBench.started({ protocolPeriodMs: 400 });
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

  it('accuses no member after a stall, but asks again', () => {
    const bench = CoreBench.started();
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
    const bench = CoreBench.started();
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
});
