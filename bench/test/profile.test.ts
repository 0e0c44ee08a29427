import assert from 'node:assert/strict';
import { hotFunctions } from '../src/profile.ts';

const frame = (id: number, functionName: string, url: string) => ({
  id,
  callFrame: { functionName, url, lineNumber: 9 },
});

describe('CPU profile', () => {
  it('adds self time per function over all its call sites, idle time left out', () => {
    const hot = hotFunctions({
      nodes: [
        frame(1, '(idle)', ''),
        frame(2, 'parse', 'file:///repo/src/mqtt/codec.ts'),
        frame(3, 'parse', 'file:///repo/src/mqtt/codec.ts'),
        frame(4, 'writev', ''),
      ],
      samples: [1, 2, 3, 4, 4],
      timeDeltas: [1_000, 10, 20, 40, 30],
    });
    assert.deepEqual(hot, [
      { name: 'writev', place: '', share: 0.7 },
      { name: 'parse', place: 'mqtt/codec.ts:10', share: 0.3 },
    ]);
  });
});
