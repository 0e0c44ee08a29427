import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suspicionBounds, suspicionTimeoutMs } from './suspicion.ts';

const options = {
  suspicionMult: 3,
  suspicionMaxMult: 2,
  suspicionConfirmations: 3,
  protocolPeriodMs: 400,
};

describe('suspicion', () => {
  it('takes the shortest time at once where no other member could confirm', () => {
    const bounds = suspicionBounds({ ...options, protocolPeriodMs: 800 / Math.log10(32) }, 2);
    assert.deepEqual(bounds, { minMs: 2400, maxMs: 2400, confirmations: 0 });
    assert.equal(suspicionTimeoutMs(bounds, 0), 2400);
  });

  it('grows with log n (SWIM §4.2) from 32 members on', () => {
    assert.equal(suspicionBounds(options, 3).minMs, suspicionBounds(options, 32).minMs);
    assert.equal(suspicionBounds(options, 100).minMs, 2400);
    assert.equal(suspicionBounds(options, 1000).minMs, 3600);
    assert.equal(suspicionBounds(options, 100).maxMs, 4800);
    assert.equal(suspicionBounds(options, 4).confirmations, 2);
  });

  it('falls from longest to shortest with each confirmation, never outside (Lifeguard)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), (members) => {
        const bounds = suspicionBounds(options, members);
        let last = Number.POSITIVE_INFINITY;
        for (let confirmed = 0; confirmed <= bounds.confirmations; confirmed++) {
          const timeoutMs = suspicionTimeoutMs(bounds, confirmed);
          assert.ok(timeoutMs < last || confirmed === 0);
          assert.ok(timeoutMs >= bounds.minMs - 1e-9 && timeoutMs <= bounds.maxMs);
          last = timeoutMs;
        }
        assert.ok(Math.abs(last - bounds.minMs) < 1e-6);
      }),
    );
  });
});
