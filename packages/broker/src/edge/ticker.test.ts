import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Ticker } from './ticker.ts';

/** Ticks that can be awaited. */
class Ticks extends EventTarget {
  pauseMs: number;

  constructor(pauseMs: number) {
    super();
    this.pauseMs = pauseMs;
  }

  tick(): void {
    this.dispatchEvent(new Event('tick'));
  }
}

const HOUR_MS = 3_600_000;

describe('Ticker', () => {
  it('takes the pause that is asked for after each tick, and says how late each is', async () => {
    const ticks = new Ticks(1);
    const late: number[] = [];
    const ticker = new Ticker(ticks, (lateMs) => late.push(lateMs));
    await once(ticks, 'tick');
    await once(ticks, 'tick');
    ticker.stop();
    assert.ok(late.length >= 2 && late.every((lateMs) => lateMs >= 0));
  });

  it('ends a long pause when a shorter one is asked for, and no other', async () => {
    const ticks = new Ticks(HOUR_MS);
    const ticker = new Ticker(ticks);
    ticker.hasten();
    ticks.pauseMs = 1;
    ticker.hasten();
    await once(ticks, 'tick');
    ticker.stop();
  });

  it('is over when a tick stops it', async () => {
    const ticks = new Ticks(1);
    const ticker = new Ticker(ticks);
    let count = 0;
    ticks.addEventListener('tick', () => {
      count++;
      ticker.stop();
    });
    await once(ticks, 'tick');
    const other = new Ticks(1);
    const beside = new Ticker(other);
    for (let i = 0; i < 3; i++) await once(other, 'tick');
    beside.stop();
    assert.equal(count, 1);
  });
});
