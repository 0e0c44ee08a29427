import assert from 'node:assert/strict';
import { Dissemination, retransmitLimit } from './dissemination.ts';

const bytes = (size: number): Uint8Array => new Uint8Array(size);

describe('Dissemination (SWIM §4.1)', () => {
  it('sends each update as often as the limit says, those sent least first', () => {
    const queue = new Dissemination(16);
    const [a, b, c] = [bytes(10), bytes(10), bytes(10)];
    queue.enqueue('a', a);
    queue.enqueue('b', b);
    assert.deepEqual(queue.take(10, 2), [a]);
    queue.enqueue('c', c);
    assert.deepEqual(queue.take(20, 2), [b, c]);
    assert.deepEqual(queue.take(100, 2), [a, b, c]);
    assert.equal(queue.size, 0);
    assert.deepEqual(queue.take(100, 2), []);
  });

  it('replaces an older update about the same member, and starts its count anew', () => {
    const queue = new Dissemination(16);
    queue.enqueue('a', bytes(1));
    queue.take(100, 2);
    const newer = bytes(2);
    queue.enqueue('a', newer);
    assert.equal(queue.size, 1);
    assert.deepEqual(queue.take(100, 2), [newer]);
    assert.ok(queue.has('a'));
    queue.take(100, 2);
    assert.ok(!queue.has('a'));
  });

  it('keeps within the bytes, and skips what is said already', () => {
    const queue = new Dissemination(16);
    const small = bytes(5);
    queue.enqueue('large', bytes(50));
    queue.enqueue('small', small);
    assert.deepEqual(queue.take(20, 4), [small]);
    assert.deepEqual(queue.take(100, 4, new Set(['large'])), [small]);
  });

  it('gives up what was spread most when it is full', () => {
    const queue = new Dissemination(2);
    queue.enqueue('a', bytes(1));
    queue.take(100, 4);
    queue.enqueue('b', bytes(1));
    queue.enqueue('c', bytes(1));
    assert.ok(!queue.has('a'));
    assert.ok(queue.has('b') && queue.has('c'));
  });

  it('sends old news a few times, after fresh news', () => {
    const queue = new Dissemination(16);
    const [old, fresh] = [bytes(10), bytes(10)];
    queue.enqueue('old', old, 2, 2);
    queue.enqueue('fresh', fresh);
    assert.deepEqual(queue.take(20, 4), [fresh, old]);
    // The limit grows with the cluster.
    assert.deepEqual(queue.take(20, 8), [fresh, old]);
    assert.deepEqual(queue.take(20, 8), [fresh]);
  });

  it('grows its limit with the logarithm of the cluster', () => {
    assert.equal(retransmitLimit(4, 1), 4);
    assert.equal(retransmitLimit(4, 9), 4);
    assert.equal(retransmitLimit(4, 10), 8);
    assert.equal(retransmitLimit(4, 1000), 16);
  });
});
