import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Hello } from './hello.ts';

class Clocked {
  nowMs = 1_000;
  hello(address: string, clusterId: string): Hello {
    return new Hello({ address, clusterId: () => clusterId, nowMs: () => this.nowMs });
  }
}

/** Whom `asker` finds when it asks `other`. */
function found(asker: Hello, other: Hello): string[] {
  const seeds: string[] = [];
  const question = asker.ask((seed) => seeds.push(seed));
  const answer = other.take(question.bytes);
  if (answer !== undefined) {
    assert.ok(answer.length <= question.bytes.length, 'no answer is longer than its question');
    assert.equal(asker.take(answer), undefined);
  }
  question.end();
  return seeds;
}

describe('Hello', () => {
  const { hello } = new Clocked();
  const at = (address: string, clusterId: string): Hello =>
    hello.call(new Clocked(), address, clusterId);

  it('finds members of the own cluster, and of any for who has none', () => {
    assert.deepEqual(found(at('a:1', 'one'), at('b:1', 'one')), ['b:1']);
    assert.deepEqual(found(at('a:1', ''), at('b:1', 'one')), ['b:1']);
    assert.deepEqual(found(at('a:1', 'one'), at('b:1', '')), ['b:1']);
  });

  it('finds no member of another cluster, and none of two that wait', () => {
    assert.deepEqual(found(at('a:1', 'one'), at('b:1', 'two')), []);
    assert.deepEqual(found(at('a:1', ''), at('b:1', '')), []);
  });

  it('has room for the longest address, and nothing more to say than was asked', () => {
    const longest = `${'h'.repeat(249)}:65535`;
    assert.deepEqual(found(at('a:1', 'c'), at(longest, 'c')), [longest]);
    const question = at('a:1', 'c').ask(() => {});
    const clipped = question.bytes.subarray(0, 22);
    assert.equal(at('127.0.0.1:7946', 'c').take(clipped), undefined);
  });

  it('takes answers to open questions only, and not its own question', () => {
    const [a, b] = [at('a:1', 'c'), at('b:1', 'c')];
    const seeds: string[] = [];
    const question = a.ask((seed) => seeds.push(seed));
    assert.equal(a.take(question.bytes), undefined);
    const answer = b.take(question.bytes);
    assert.ok(answer !== undefined);
    question.end();
    a.take(answer);
    assert.equal(seeds.length, 0);
    const forged = Uint8Array.from(answer);
    forged[12] = (forged[12] ?? 0) ^ 1;
    a.ask((seed) => seeds.push(seed));
    a.take(forged);
    assert.equal(seeds.length, 0);
  });

  it('answers 64 times a second at most', () => {
    const clocked = new Clocked();
    const [a, b] = [clocked.hello('a:1', 'c'), clocked.hello('b:1', 'c')];
    const count = (): number =>
      Array.from({ length: 200 }, () => found(a, b).length).filter((each) => each === 1).length;
    assert.equal(count(), 64);
    clocked.nowMs += 500;
    assert.equal(count(), 32);
    clocked.nowMs += 3_600_000;
    assert.equal(count(), 64);
  });

  it('bounds the questions that are open', () => {
    const a = at('a:1', 'c');
    const open = Array.from({ length: 64 }, () => a.ask(() => {}));
    assert.throws(() => a.ask(() => {}), /too many/);
    open[0]?.end();
    a.ask(() => {});
  });

  it('survives noise', () => {
    const a = at('a:1', 'c');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, ours) => {
        if (ours && noise.length > 2) noise.set([0x44, 1, noise[2] ?? 0]);
        const answer = a.take(noise);
        assert.ok(answer === undefined || answer.length <= noise.length);
      }),
    );
  });
});
