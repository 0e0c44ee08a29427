import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { TurnEnd } from './turn-end.ts';

describe('TurnEnd', () => {
  it('flushes once a turn, and again when the flush asks for it', async () => {
    let flushes = 0;
    const end = new TurnEnd(() => {
      flushes++;
      if (flushes === 1) end.ask();
    });
    end.ask();
    end.ask();
    assert.equal(flushes, 0);
    await turn();
    assert.equal(flushes, 1);
    await turn();
    assert.equal(flushes, 2);
    await turn();
    assert.equal(flushes, 2);
  });
});
