import assert from 'node:assert/strict';
import { formatAddress, parseAddress, Resolver } from './address.ts';

describe('address', () => {
  for (const [text, host, port] of [
    ['127.0.0.1:7946', '127.0.0.1', 7946],
    ['node-1.example:0', 'node-1.example', 0],
    ['[::1]:65535', '::1', 65535],
  ] as const) {
    it(`reads and writes ${text}`, () => {
      assert.deepEqual(parseAddress(text), { host, port });
      assert.equal(formatAddress(host, port), text);
    });
  }

  for (const text of [
    '',
    'host',
    'host:',
    ':1',
    '::1:1',
    'host:65536',
    'host:1x',
    '[::1]1',
    'a:1:2',
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseAddress(text), { code: 'SWIM_ERR_ADDRESS_INVALID' });
    });
  }
});

describe('Resolver', () => {
  it('takes addresses as they are, and remembers a name for five seconds', async () => {
    const resolver = new Resolver(4);
    assert.equal(resolver.cached('10.1.2.3', 0), '10.1.2.3');
    assert.equal(resolver.cached('localhost', 0), undefined);
    assert.equal(await resolver.resolve('localhost', 0), '127.0.0.1');
    assert.equal(resolver.cached('localhost', 4_999), '127.0.0.1');
    assert.equal(resolver.cached('localhost', 5_000), undefined);
  });
});
