import assert from 'node:assert/strict';
import { EVERY_SUBSCRIPTION, type Message } from '../../session/message.ts';
import { LONG_SILENCE_MS } from '../link/peers.ts';
import { LiveDoubts } from './live-doubts.ts';

const live = (sequence: number, hlc = 1, bytes = 0) => {
  const message = { hlc, topic: '', payload: new Uint8Array(bytes), properties: [], publisher: '' };
  return { sequence, rx2: null, message: message as unknown as Message };
};

function setUp() {
  const asked: string[] = [];
  const reset: string[] = [];
  const doubts = new LiveDoubts(
    (peer, sequence) => asked.push(`${peer} ${sequence}`),
    (peer) => reset.push(peer),
  );
  return { doubts, asked, reset };
}

describe('what a sender may have given up', () => {
  it('is nothing that is fresh', () => {
    const { doubts, asked } = setUp();
    assert.equal(doubts.take('a', live(1), 0, LONG_SILENCE_MS - 1), false);
    assert.deepEqual(asked, []);
  });

  it('is asked about when it is old, once, and all behind it waits', () => {
    const { doubts, asked } = setUp();
    const [first, second] = [live(1), live(2)];
    assert.equal(doubts.take('a', first, 0, LONG_SILENCE_MS), true);
    assert.equal(doubts.take('a', second, 1, 0), true);
    assert.equal(doubts.take('b', live(1), 1, 0), false, 'another node');
    assert.deepEqual(asked, ['a 1']);
    assert.deepEqual(doubts.onAwaited('a', 1, 2), [first, second]);
    assert.equal(doubts.take('a', live(3), 3, 0), false);
  });

  it('is what follows a silence, however fresh', () => {
    const { doubts, asked } = setUp();
    doubts.onSilence('a');
    assert.deepEqual(asked, []);
    assert.equal(doubts.take('a', live(1), 0, 0), true);
    assert.deepEqual(asked, ['a 1']);
  });

  it('is a Will, whose stamp tells no age', () => {
    const { doubts } = setUp();
    assert.equal(doubts.take('a', live(1, EVERY_SUBSCRIPTION), 0, -5), true);
  });

  it('is asked about again when the answer has been under way for long itself', () => {
    const { doubts, asked } = setUp();
    const only = live(1);
    doubts.take('a', only, 0, LONG_SILENCE_MS);
    assert.deepEqual(doubts.onAwaited('a', 1, LONG_SILENCE_MS), []);
    assert.deepEqual(asked, ['a 1', 'a 1']);
    assert.deepEqual(doubts.onAwaited('a', 1, LONG_SILENCE_MS + 1), [only]);
  });

  it('ends the link when more of it waits than may: what is still awaited comes again on the next', () => {
    const { doubts, reset } = setUp();
    const mebibyte = 1024 * 1024;
    for (let i = 1; i <= 63; i++) doubts.take('a', live(i, 1, mebibyte), 0, LONG_SILENCE_MS);
    doubts.take('b', live(1, 1, 2 * mebibyte), 0, LONG_SILENCE_MS);
    assert.deepEqual(reset, []);
    assert.equal(doubts.take('a', live(64, 1, mebibyte), 0, LONG_SILENCE_MS), true);
    assert.deepEqual(reset, ['a']);
    doubts.drop('a');
    doubts.take('a', live(1, 1, 63 * mebibyte), 0, LONG_SILENCE_MS);
    assert.deepEqual(reset, ['a']);
  });

  it('is forgotten with the link, and so is the answer to what was asked on it', () => {
    const { doubts, asked } = setUp();
    doubts.take('a', live(1), 0, LONG_SILENCE_MS);
    doubts.drop('a');
    doubts.take('a', live(2), 1, LONG_SILENCE_MS);
    assert.deepEqual(doubts.onAwaited('a', 1, 2), []);
    assert.deepEqual(asked, ['a 1', 'a 2']);
  });
});
