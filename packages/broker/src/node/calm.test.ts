import assert from 'node:assert/strict';
import { Calm } from './calm.ts';

function calm() {
  let hastened = 0;
  const it = new Calm(() => hastened++);
  return { it, hastened: () => hastened };
}

describe('Calm', () => {
  it('comes a second after the last event', () => {
    const { it } = calm();
    it.tick(1000, false);
    it.tick(1999, false);
    assert.equal(it.now, false);
    it.tick(2000, false);
    assert.equal(it.now, true);
  });

  it('does not come while something waits', () => {
    const { it } = calm();
    for (let nowMs = 0; nowMs < 5000; nowMs += 100) it.tick(nowMs, nowMs === 4500);
    assert.equal(it.now, false);
  });

  it('ends with an event, which hastens the next tick once', () => {
    const { it, hastened } = calm();
    it.tick(0, false);
    it.tick(1000, false);
    it.stir();
    it.stir();
    assert.equal(it.now, false);
    assert.equal(hastened(), 1);
    it.tick(1020, false);
    it.tick(2019, false);
    assert.equal(it.now, false);
  });
});
