import assert from 'node:assert/strict';
import { Shard, WILL } from './shard.ts';

describe('wills', () => {
  it('fire when the connection ends abnormally [MQTT-3.1.2-8], once', () => {
    const shard = new Shard();
    const s = shard.open('c', { will: WILL });
    assert.deepEqual(shard.freed, []);
    const close = shard.close(s);
    shard.close(s);
    assert.deepEqual(shard.wills, [[close, 1]]);
    shard.apply({ type: 'enqd', indexes: [close] });
    assert.deepEqual([shard.wills, shard.freed], [[], [1, shard.index]]);
  });

  it('are dropped by DISCONNECT [MQTT-3.1.2-10]', () => {
    const shard = new Shard();
    const s = shard.open('c', { will: WILL });
    const close = shard.close(s, { abnormal: false });
    assert.deepEqual([shard.wills, shard.freed], [[], [1, close]]);
  });

  it('wait for their delay, and are cancelled by a resume within it [MQTT-3.1.3-9]', () => {
    const shard = new Shard();
    const s = shard.open('c', { will: { ...WILL, delaySeconds: 10 } });
    shard.apply({ type: 'tick', elapsedMs: 2000 });
    shard.close(s);
    assert.deepEqual([shard.wills, s.willAtMs, shard.state.dated.has(s)], [[], 12_000, true]);
    shard.open('c');
    assert.deepEqual(shard.freed, [1, shard.index]);
    assert.deepEqual([shard.wills, s.willIndex, shard.state.dated.size], [[], 0, 0]);
    shard.apply({ type: 'will', clientId: 'c', birth: s.birth });
    assert.deepEqual(shard.wills, []);
  });

  it('fire by WILL once the delay is over, and not again when the session ends', () => {
    const shard = new Shard();
    const s = shard.open('c', { will: { ...WILL, delaySeconds: 10 } });
    shard.close(s);
    shard.apply({ type: 'will', clientId: 'c', birth: s.birth + 1 });
    assert.deepEqual(shard.wills, []);
    const fired = shard.apply({ type: 'will', clientId: 'c', birth: s.birth });
    shard.apply({ type: 'will', clientId: 'c', birth: s.birth });
    shard.apply({ type: 'expire', clientId: 'c', birth: s.birth });
    assert.deepEqual(shard.wills, [[fired, 1]]);
  });

  it('do not wait beyond the end of the session (§3.1.3.2.2)', () => {
    for (const end of ['expire', 'clean start', 'disconnect without expiry'] as const) {
      const shard = new Shard();
      const s = shard.open('c', { will: { ...WILL, delaySeconds: 1000 } });
      shard.close(s, end === 'disconnect without expiry' ? { expirySeconds: 0 } : {});
      if (end === 'expire') shard.apply({ type: 'expire', clientId: 'c', birth: s.birth });
      if (end === 'clean start') shard.open('c', { cleanStart: true });
      assert.deepEqual(shard.wills, [[shard.index, 1]], end);
    }
  });

  it('wait for clients that a stopping server sent away, and any connection of theirs cancels them', () => {
    for (const expirySeconds of [0, 60]) {
      for (const cleanStart of [false, true]) {
        const shard = new Shard();
        const s = shard.open('c', { will: WILL, expirySeconds });
        shard.close(s, { graceMs: 1000 });
        assert.deepEqual([shard.wills, s.willAtMs, shard.state.dated.has(s)], [[], 1000, true]);
        const back = shard.open('c', { cleanStart, expirySeconds });
        assert.deepEqual([shard.wills, back.willIndex], [[], 0]);
        assert.equal(back.present, expirySeconds > 0 && !cleanStart);
      }
    }
  });

  it('fire when such a client does not come, and end its session if that is to end', () => {
    for (const expirySeconds of [0, 60]) {
      const shard = new Shard();
      const s = shard.open('c', { will: WILL, expirySeconds });
      shard.close(s, { graceMs: 1000 });
      const type = expirySeconds === 0 ? 'expire' : 'will';
      shard.apply({ type, clientId: 'c', birth: s.birth });
      assert.deepEqual(shard.wills, [[shard.index, 1]]);
      assert.equal(shard.state.sessions.has('c'), expirySeconds > 0);
    }
  });

  it('keep a delay that is longer than the grace', () => {
    const shard = new Shard();
    const s = shard.open('c', { will: { ...WILL, delaySeconds: 10 } });
    shard.close(s, { graceMs: 1000 });
    assert.equal(s.willAtMs, 10_000);
    shard.open('c', { cleanStart: true });
    assert.deepEqual(shard.wills, [[shard.index, 1]]);
  });

  it('fire at a takeover, unless it resumes within a delay: §10, will lost on takeover', () => {
    for (const [delaySeconds, cleanStart, fires] of [
      [0, false, true],
      [0, true, true],
      [5, false, false],
      [5, true, true],
    ] as const) {
      const shard = new Shard();
      shard.open('c', { will: { ...WILL, delaySeconds } });
      const s = shard.open('c', { cleanStart, will: WILL });
      assert.deepEqual(shard.wills, fires ? [[2, 1]] : [], `${delaySeconds} ${cleanStart}`);
      assert.equal(s.willIndex, 2);
    }
  });
});
