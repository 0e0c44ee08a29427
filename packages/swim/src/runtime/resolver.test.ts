import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { type Deferred, deferred } from '../deferred.ts';
import { Resolver } from './resolver.ts';

/** A resolver whose lookups end when a test settles them. */
function heldBack(): { resolver: Resolver; asked: Deferred<string>[] } {
  const asked: Deferred<string>[] = [];
  const resolver = new Resolver(4, () => {
    const answer = deferred<string>();
    asked.push(answer);
    return answer.promise;
  });
  return { resolver, asked };
}

describe('Resolver', () => {
  it('takes addresses as they are, and remembers a name for five seconds', async () => {
    const resolver = new Resolver(4);
    assert.equal(resolver.cached('10.1.2.3', 0), '10.1.2.3');
    assert.equal(resolver.cached('localhost', 0), undefined);
    assert.equal(await resolver.resolve('localhost', 0), '127.0.0.1');
    assert.equal(resolver.cached('localhost', 4_999), '127.0.0.1');
    assert.equal(resolver.cached('localhost', 5_000), undefined);
  });

  it('follows a name to its new address with the message after the look that found it', async () => {
    let address = '10.0.0.1';
    const resolver = new Resolver(4, async () => address);
    assert.equal(await resolver.resolve('n1', 0), '10.0.0.1');
    address = '10.0.0.2';
    assert.equal(await resolver.resolve('n1', 4_999), '10.0.0.1');
    assert.equal(await resolver.resolve('n1', 5_000), '10.0.0.1');
    await turn();
    assert.equal(await resolver.resolve('n1', 5_001), '10.0.0.2');
  });

  it('keeps to the known address while no server answers, and looks again every five seconds', async () => {
    const { resolver, asked } = heldBack();
    const first = resolver.resolve('n1', 0);
    asked[0]?.resolve('10.0.0.1');
    assert.equal(await first, '10.0.0.1');
    assert.equal(await resolver.resolve('n1', 5_000), '10.0.0.1');
    assert.equal(await resolver.resolve('n1', 9_000), '10.0.0.1');
    assert.equal(asked.length, 2);
    asked[1]?.reject(new Error('EAI_AGAIN'));
    await turn();
    assert.equal(await resolver.resolve('n1', 9_999), '10.0.0.1');
    assert.equal(asked.length, 2);
    assert.equal(await resolver.resolve('n1', 10_000), '10.0.0.1');
    asked[2]?.resolve('10.0.0.2');
    await turn();
    assert.equal(await resolver.resolve('n1', 10_001), '10.0.0.2');
    assert.equal(asked.length, 3);
  });

  it('asks for a name once, however many wait, and again after it failed', async () => {
    const { resolver, asked } = heldBack();
    const first = resolver.resolve('n1', 0);
    const second = resolver.resolve('n1', 1);
    assert.equal(asked.length, 1);
    asked[0]?.reject(new Error('ENOTFOUND'));
    await assert.rejects(first, /ENOTFOUND/);
    await assert.rejects(second, /ENOTFOUND/);
    const third = resolver.resolve('n1', 2);
    asked[1]?.resolve('10.0.0.1');
    assert.equal(await third, '10.0.0.1');
  });
});
