import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ProxyHeader, readProxyHeader } from '../../src/edge/listeners/proxy-header.ts';
import { ListenerBench, turn, until } from './bench.ts';

const v1 = (line: string) => Buffer.from(`${line}\r\n`, 'latin1');

/** A header of version 2. */
function v2(command: number, family: number, rest: Uint8Array): Buffer {
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(rest.length, 14);
  return Buffer.concat([head, rest]);
}

const ADDRESSES_4 = Buffer.from([192, 0, 2, 7, 192, 0, 2, 8, 0x12, 0x67, 0x07, 0x5b]);
const ADDRESSES_6 = Buffer.alloc(36);
ADDRESSES_6.set([0x20, 0x01, 0x0d, 0xb8], 0);
ADDRESSES_6[15] = 7;
ADDRESSES_6.writeUInt16BE(4711, 32);
const ADDRESSES_4_IN_6 = Buffer.from(ADDRESSES_6);
ADDRESSES_4_IN_6.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7], 0);
const TLV = Buffer.from([0x03, 0, 4, 1, 2, 3, 4]);

describe('PROXY header', () => {
  for (const [what, header, remote] of [
    ['TCP4', v1('PROXY TCP4 192.0.2.7 192.0.2.8 4711 1883'), '192.0.2.7:4711'],
    ['TCP6', v1('PROXY TCP6 2001:db8::7 ::1 4711 1883'), '[2001:db8::7]:4711'],
    ['TCP6 of an IPv4 client', v1('PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 1883'), '192.0.2.7:4711'],
    ['TCP6 in full', v1('PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 4711 1883'), '[2001:db8::7]:4711'],
    ['TCP6 with a zone', v1('PROXY TCP6 fe80::7%eth0 ::1 4711 1883'), '[fe80::7]:4711'],
    ['UNKNOWN', v1('PROXY UNKNOWN'), undefined],
    ['UNKNOWN with more', v1('PROXY UNKNOWN ffff::1 ffff::2 1 2'), undefined],
    ['version 2, IPv4', v2(0x21, 0x11, ADDRESSES_4), '192.0.2.7:4711'],
    ['version 2, IPv6', v2(0x21, 0x21, ADDRESSES_6), '[2001:db8::7]:4711'],
    ['version 2, IPv4 within IPv6', v2(0x21, 0x21, ADDRESSES_4_IN_6), '192.0.2.7:4711'],
    ['version 2 with more', v2(0x21, 0x11, Buffer.concat([ADDRESSES_4, TLV])), '192.0.2.7:4711'],
    ['version 2, LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), undefined],
    ['version 2, a unix socket', v2(0x21, 0x31, Buffer.alloc(216)), undefined],
  ] as const) {
    it(`is read at every cut: ${what}`, () => {
      for (let cut = 0; cut < header.length; cut++)
        assert.equal(readProxyHeader(header.subarray(0, cut)).kind, 'incomplete', `at ${cut}`);
      const complete: ProxyHeader = { kind: 'complete', bytes: header.length, remote };
      assert.deepEqual(readProxyHeader(header), complete);
      assert.deepEqual(readProxyHeader(Buffer.concat([header, header])), complete);
    });
  }

  for (const [what, header] of [
    ['no header', Buffer.from([0x10])],
    ['another family', v1('PROXY TCP5 192.0.2.7 192.0.2.8 4711 1883')],
    ['a wrong address', v1('PROXY TCP4 192.0.2.700 192.0.2.8 4711 1883')],
    ['an address of the other family', v1('PROXY TCP4 ::1 ::1 4711 1883')],
    ['a wrong port', v1('PROXY TCP4 192.0.2.7 192.0.2.8 65536 1883')],
    ['a port with a zero in front', v1('PROXY TCP4 192.0.2.7 192.0.2.8 01 1883')],
    ['too few words', v1('PROXY TCP4 192.0.2.7')],
    ['too many words', v1('PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3')],
    ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(100)}`)],
    ['another version', v2(0x31, 0x11, ADDRESSES_4)],
    ['another command', v2(0x22, 0x11, ADDRESSES_4)],
    ['addresses cut off', v2(0x21, 0x11, ADDRESSES_4.subarray(0, 11))],
    ['an unknown family', v2(0x21, 0x41, ADDRESSES_4)],
    ['a header that is too long', v2(0x21, 0x11, Buffer.alloc(4_081)).subarray(0, 16)],
  ] as const) {
    it(`is malformed: ${what}`, () => {
      assert.equal(readProxyHeader(header).kind, 'malformed');
    });
  }
});

describe('a listener behind a proxy', () => {
  let bench: ListenerBench;
  beforeEach(() => {
    bench = new ListenerBench();
  });
  afterEach(() => bench.stop());

  it('takes the client’s address from the header, however it is cut, and loses no byte behind it', async () => {
    await bench.start({ transport: 'tcp', proxyFrom: ['127.0.0.1'] });
    const header = v1('PROXY TCP4 192.0.2.7 192.0.2.8 4711 1883');
    const bytes = Buffer.concat([header, Buffer.from('hello')]);
    for (let cut = 1; cut <= bytes.length; cut += 3) {
      const socket = await bench.socket();
      socket.write(bytes.subarray(0, cut));
      for (let i = 0; i < 3; i++) await turn();
      socket.write(bytes.subarray(cut));
      const [chunk] = await once(socket, 'data');
      assert.equal(String(chunk), 'hello'.slice(0, String(chunk).length));
      const accepted = bench.accepted.at(-1)!;
      await until(() => accepted.received.length === 5);
      assert.equal(accepted.socket.remote, '192.0.2.7:4711');
      assert.equal(String(accepted.received), 'hello');
    }
  });

  it('is told of itself by a proxy that speaks for itself', async () => {
    await bench.start({ transport: 'tcp', proxyFrom: ['127.0.0.0/8'] });
    const socket = await bench.socket();
    socket.write(v2(0x20, 0, Buffer.alloc(0)));
    await until(() => bench.accepted.length === 1);
    assert.match(bench.accepted[0]!.socket.remote, /^127\.0\.0\.1:/);
  });

  it('takes a header from named addresses only, and needs one from them', async () => {
    await bench.start({ transport: 'tcp', proxyFrom: ['192.0.2.0/24', '2001:db8::/32'] });
    const direct = await bench.socket();
    direct.write('PROXY TCP4 ');
    await until(() => bench.accepted[0]?.received.length === 11);
    assert.match(bench.accepted[0]!.socket.remote, /^127\.0\.0\.1:/);
    await bench.stop();
    await bench.start({ transport: 'tcp', proxyFrom: ['127.0.0.1'] });
    const bare = await bench.socket();
    bare.write(Buffer.from([0x10, 0x0c]));
    await once(bare.resume(), 'close');
    assert.match(bench.log.at(-1)!, /PROXY header is malformed: it does not begin as one/);
    assert.equal(bench.accepted.length, 1);
  });

  it('ends a proxy that sends half a header and waits, or leaves', async () => {
    await bench.start({ transport: 'tcp', proxyFrom: ['127.0.0.1'] }, { handshakeTimeoutMs: 300 });
    const slow = await bench.socket();
    slow.write('PROXY TCP4');
    const gone = await bench.socket();
    gone.end('PROXY');
    await Promise.all([once(slow.resume(), 'close'), once(gone.resume(), 'close')]);
    await until(() => bench.listener.count === 0);
    assert.deepEqual(bench.counters, { handshakesUnderWay: 0, handshakesFailed: 2 });
    assert.match(bench.log.join('\n'), /took too long/);
  });
});
