import assert from 'node:assert/strict';
import { formatAddress, isLoopback, parseAddress, readAddress } from './address.ts';

describe('address', () => {
  for (const [text, host, port] of [
    ['127.0.0.1:7946', '127.0.0.1', 7946],
    ['node-1.example:0', 'node-1.example', 0],
    ['[::1]:65535', '::1', 65535],
    ['[fe80::1%eth0]:7946', 'fe80::1%eth0', 7946],
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
    'a b:1',
    'a/b:1',
    '[host]:1',
    '[::1% ]:1',
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseAddress(text), { code: 'SWIM_ERR_ADDRESS_INVALID' });
      assert.ok('problem' in readAddress(text));
    });
  }

  for (const [text, problem] of [
    ['http://host:80/', 'an address, not a URL'],
    ['7946', 'the port is missing'],
    ['::1', 'an IPv6 host goes into brackets, as in [::1]:1883'],
    ['host:65536', 'the port is above 65535'],
  ] as const) {
    it(`says why "${text}" is none`, () => {
      assert.deepEqual(readAddress(text), { problem });
    });
  }

  it('takes no host for loopback that may lead elsewhere', () => {
    for (const host of ['127.0.0.1', '127.255.1.9', '::1', 'localhost'])
      assert.ok(isLoopback(host));
    for (const host of [
      '127.0.0.256',
      '127.0.0.1.example',
      '10.0.0.1',
      '::',
      'localhost.example',
    ]) {
      assert.ok(!isLoopback(host), host);
    }
  });
});
