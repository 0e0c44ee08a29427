import assert from 'node:assert/strict';
import { fuzz } from './fuzz.ts';

describe('mutated messages into a member', function () {
  this.timeout(60_000);

  it('throw nothing, stay within every bound, and change nothing unless authentic', async () => {
    const result = await fuzz({ count: 20_000, seed: 'unit' });
    assert.equal(result.inputs, 20_000);
    // The fuzz bites: it fills what is bounded, and makes the member refute and doubt.
    assert.ok(result.refutes > 5 && result.suspicions > 20, JSON.stringify(result));
    assert.ok(result.sealed > 1_000 && result.foreign > 1_000);
    assert.ok((result.largest['members'] as number) >= 150);
    assert.ok((result.largest['eventsKept'] as number) >= 16);
  });
});
