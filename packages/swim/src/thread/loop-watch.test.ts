import assert from 'node:assert/strict';
import { type LoopState, LoopWatch } from './loop-watch.ts';

/** Looks every 100 ms, with or without a beat before each. */
function looks(watch: LoopWatch, fromMs: number, beats: readonly number[]): LoopState[] {
  return beats.map((beat, at) => watch.look(beat, fromMs + (at + 1) * 100));
}

describe('LoopWatch', () => {
  const options = { unwellAfterMs: 200, deadAfterMs: 400 };

  it('calls a silent loop unwell, then dead, and well again at its first beat', () => {
    const watch = new LoopWatch(options, 7, 0);
    assert.deepEqual(looks(watch, 0, [7, 7, 7, 7, 7, 8]), [
      'well',
      'well',
      'unwell',
      'unwell',
      'dead',
      'well',
    ]);
  });

  it('never calls it dead with 0', () => {
    const watch = new LoopWatch({ unwellAfterMs: 200, deadAfterMs: 0 }, 0, 0);
    assert.equal(looks(watch, 0, Array(1_000).fill(0)).at(-1), 'unwell');
  });

  it('takes a pause of the whole process for no fault of the loop', () => {
    const watch = new LoopWatch(options, 0, 0);
    assert.equal(watch.look(0, 60_000), 'well');
    assert.equal(watch.silentMs, 200);
    assert.equal(watch.look(1, 60_100), 'well');
    assert.equal(watch.silentMs, 0);
  });
});
