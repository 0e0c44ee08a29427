import assert from 'node:assert/strict';
import { formatAddress, parseAddress } from './address.ts';

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
