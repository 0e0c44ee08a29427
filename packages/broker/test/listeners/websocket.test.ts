import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { ListenerBench, turn, until, untilEnd } from './bench.ts';

const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

/** A frame as a client sends it, masked. */
function frame(opcode: number, payload: Uint8Array | string, final = true): Buffer {
  const bytes = Buffer.from(payload);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const length =
    bytes.length < 126
      ? Buffer.from([bytes.length | 0x80])
      : Buffer.from([126 | 0x80, bytes.length >> 8, bytes.length & 0xff]);
  const masked = bytes.map((byte, i) => byte ^ mask[i % 4]!);
  return Buffer.concat([Buffer.from([opcode | (final ? 0x80 : 0)]), length, mask, masked]);
}

/** The whole frames of a server in `bytes`. */
function* frames(bytes: Buffer): Generator<{ opcode: number; payload: Buffer }> {
  for (let at = 0; at < bytes.length; ) {
    const opcode = bytes[at]! & 0x0f;
    let length = bytes[at + 1]!;
    let start = at + 2;
    if (length === 126) {
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if (start + length > bytes.length) return;
    yield { opcode, payload: bytes.subarray(start, start + length) };
    at = start + length;
  }
}

const request = (headers: Readonly<Record<string, string>> = {}, path = '/mqtt') => {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'mqtt',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
};

describe('WebSocket listener', function () {
  this.timeout(20_000);
  let bench: ListenerBench;
  beforeEach(() => {
    bench = new ListenerBench();
  });
  afterEach(() => bench.stop());

  /** What a server answers to a request, head and body. */
  const answered = async (text: string): Promise<string> => {
    const socket = await bench.socket();
    socket.write(text);
    return String(await untilEnd(socket));
  };

  /** A raw socket whose upgrade is done, and what has come on it since. */
  const upgraded = async (headers: Readonly<Record<string, string>> = {}) => {
    const socket = await bench.socket();
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    socket.write(request(headers));
    await until(() => received.includes('\r\n\r\n'));
    const end = received.indexOf('\r\n\r\n') + 4;
    const head = String(received.subarray(0, end));
    assert.match(head, /^HTTP\/1\.1 101 /);
    return { socket, head, frames: () => [...frames(received.subarray(end))] };
  };

  /** Close code of the last frame, once there is one. */
  const closeCode = async (raw: Awaited<ReturnType<typeof upgraded>>): Promise<number> => {
    await until(() => raw.frames().at(-1)?.opcode === Opcode.Close);
    return raw.frames().at(-1)!.payload.readUInt16BE(0);
  };

  it('speaks mqtt, or mqttv3.1 where that is all that is offered [MQTT-6.0.0-4] [MQTT-6.0.0-4 of 3.1.1]', async () => {
    await bench.start({ transport: 'ws' });
    for (const [offered, taken] of [
      ['mqtt', 'mqtt'],
      ['mqttv3.1', 'mqttv3.1'],
      ['mqttv3.1, mqtt', 'mqtt'],
      ['soap, mqtt', 'mqtt'],
    ] as const) {
      const { head } = await upgraded({ 'Sec-WebSocket-Protocol': offered });
      assert.match(head, new RegExp(`Sec-WebSocket-Protocol: ${taken}\r\n`), offered);
    }
  });

  it('compresses nothing', async () => {
    await bench.start({ transport: 'ws' });
    const { head } = await upgraded({ 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    assert.doesNotMatch(head, /Extensions/);
  });

  for (const [what, text, status] of [
    ['another path', request({}, '/other'), 404],
    ['no sub-protocol of MQTT [MQTT-6.0.0-3]', request({ 'Sec-WebSocket-Protocol': 'soap' }), 400],
    ['a page of elsewhere', request({ Origin: 'https://evil.example' }), 403],
    ['a page without an origin of its own', request({ Origin: 'null' }), 403],
    ['an unknown version', request({ 'Sec-WebSocket-Version': '7' }), 400],
    ['no upgrade', 'GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n', 426],
    ['no upgrade, and another path', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
    ['HTTP/1.0', request().replace('HTTP/1.1', 'HTTP/1.0'), 505],
    ['large header fields', request({ Cookie: 'a'.repeat(9_000) }), 431],
    ['an expectation', 'POST /mqtt HTTP/1.1\r\nHost: l\r\nExpect: 100-continue\r\n\r\n', 426],
    ['an unknown expectation', 'GET /mqtt HTTP/1.1\r\nHost: l\r\nExpect: tea\r\n\r\n', 426],
    ['no upgrade, and takes none behind it', `GET / HTTP/1.1\r\nHost: l\r\n\r\n${request()}`, 404],
    ['no HTTP', '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0', 400],
  ] as const) {
    it(`refuses ${what} with ${status}, and counts it`, async () => {
      await bench.start({ transport: 'ws' });
      assert.match(await answered(text), new RegExp(`^HTTP/1\\.1 ${status} `));
      await until(() => bench.listener.count === 0);
      assert.deepEqual(bench.counters, { handshakesUnderWay: 0, handshakesFailed: 1 });
      assert.equal(bench.accepted.length, 0);
    });
  }

  it('takes pages of this machine by default, of the named origins, or of all', async () => {
    const served = async (origin: string) =>
      /^HTTP\/1\.1 101/.test(
        await (async () => {
          const socket = await bench.socket();
          socket.write(request({ Origin: origin }));
          const [chunk] = await once(socket, 'data');
          return String(chunk);
        })(),
      );
    await bench.start({ transport: 'ws' });
    assert.equal(await served('http://localhost:3000'), true);
    assert.equal(await served('http://127.0.0.1'), true);
    assert.equal(await served('http://[::1]:8080'), true);
    assert.equal(await served('http://localhost.evil.example'), false);
    await bench.stop();
    await bench.start({ transport: 'ws', origins: ['https://app.example'] });
    assert.equal(await served('https://app.example'), true);
    assert.equal(await served('https://app.example.evil.example'), false);
    assert.equal(await served('http://localhost:3000'), false);
    await bench.stop();
    await bench.start({ transport: 'ws', origins: ['*'] });
    assert.equal(await served('null'), true);
  });

  it('gives a slow header as long as a handshake may take', async () => {
    await bench.start({ transport: 'ws' }, { handshakeTimeoutMs: 300 });
    const socket = await bench.socket();
    socket.write('GET /mqtt HTTP/1.1\r\nHost: l');
    await once(socket.resume(), 'close');
    assert.match(bench.log.at(-1)!, /took too long/);
    await until(() => bench.listener.count === 0);
  });

  it('hands over frames cut at every byte, fragments, and several packets in a frame [MQTT-6.0.0-2] [MQTT-6.0.0-2 of 3.1.1]', async () => {
    await bench.start({ transport: 'ws' });
    const raw = await upgraded();
    const [accepted] = bench.accepted;
    const sent = Buffer.concat([
      frame(Opcode.Binary, 'ab', false),
      frame(Opcode.Ping, 'between'),
      frame(Opcode.Continuation, '', false),
      frame(Opcode.Continuation, 'cd'),
      frame(Opcode.Binary, 'e'.repeat(200)),
      frame(Opcode.Binary, ''),
    ]);
    const expected = `abcd${'e'.repeat(200)}`;
    for (let cut = 1; cut < sent.length; cut++) {
      raw.socket.write(sent.subarray(0, cut));
      for (let i = 0; i < 3; i++) await turn();
      raw.socket.write(sent.subarray(cut));
      await until(() => accepted!.received.length === cut * expected.length);
    }
    assert.equal(String(accepted!.received), expected.repeat(sent.length - 1));
    await until(() => raw.frames().filter(({ opcode }) => opcode === Opcode.Pong).length > 0);
    const pong = raw.frames().find(({ opcode }) => opcode === Opcode.Pong);
    assert.equal(String(pong?.payload), 'between');
  });

  it('is in binary frames only: 1003 [MQTT-6.0.0-1] [MQTT-6.0.0-1 of 3.1.1]', async () => {
    await bench.start({ transport: 'ws' });
    const raw = await upgraded();
    raw.socket.write(frame(Opcode.Text, 'hello'));
    assert.equal(await closeCode(raw), 1003);
    await until(() => bench.accepted[0]!.closed);
    assert.equal(bench.accepted[0]!.received.length, 0);
  });

  it('sends what one turn writes as one frame', async () => {
    await bench.start({ transport: 'ws' });
    const raw = await upgraded();
    const { socket } = bench.accepted[0]!;
    for (const text of ['one ', 'two ', 'three']) socket.write(Buffer.from(text));
    await until(() => raw.frames().length > 0);
    assert.deepEqual(
      raw.frames().map(({ opcode, payload }) => [opcode, String(payload)]),
      [[Opcode.Binary, 'one two three']],
    );
    assert.equal(socket.pendingBytes, 0);
  });

  it('refuses a message beyond the largest packet, and very many fragments: 1009, 1008', async () => {
    await bench.start({ transport: 'ws' }, {}, { maxPacketBytes: 1024 });
    const large = await upgraded();
    const piece = Buffer.alloc(60_000);
    large.socket.write(frame(Opcode.Binary, piece, false));
    large.socket.write(frame(Opcode.Continuation, piece, false));
    large.socket.write(frame(Opcode.Continuation, piece, false));
    assert.equal(await closeCode(large), 1009);
    const pieces = await upgraded();
    pieces.socket.write(frame(Opcode.Binary, 'x', false));
    for (let i = 0; i < 1_100; i++) pieces.socket.write(frame(Opcode.Continuation, 'x', false));
    assert.equal(await closeCode(pieces), 1008);
    await until(() => bench.listener.count === 0);
    assert.ok(bench.accepted.every(({ closed, received }) => closed && received.length === 0));
  });

  it('refuses a frame that comes in crumbs, and takes one that comes as networks cut it', async () => {
    await bench.start({ transport: 'ws' }, {}, { maxPacketBytes: 1024 });
    const segments = await upgraded();
    const message = frame(Opcode.Binary, Buffer.alloc(60_000));
    for (let at = 0; at < message.length; at += 536) {
      segments.socket.write(message.subarray(at, at + 536));
      await turn();
    }
    await until(() => bench.accepted[0]!.received.length === 60_000);
    const crumbs = await upgraded();
    crumbs.socket.setNoDelay(true);
    for (let at = 0; at < message.length && crumbs.frames().length === 0; at++) {
      crumbs.socket.write(message.subarray(at, at + 1));
      await turn();
      await turn();
    }
    assert.equal(await closeCode(crumbs), 1008);
  });

  it('ends at a frame that breaks RFC 6455: not masked, reserved bits, a long ping', async () => {
    await bench.start({ transport: 'ws' });
    for (const bytes of [
      Buffer.from([0x82, 0x01, 0x61]),
      Buffer.from([0xf2, 0x81, 0, 0, 0, 0, 0x61]),
      Buffer.from([0x83, 0x80, 0, 0, 0, 0]),
      frame(Opcode.Ping, 'x'.repeat(126)),
      frame(Opcode.Continuation, 'x'),
    ]) {
      const raw = await upgraded();
      raw.socket.write(bytes);
      assert.equal(await closeCode(raw), 1002);
    }
    await until(() => bench.listener.count === 0);
  });

  it('answers the last of a flood of pings, and holds no answers for a client that does not read', async () => {
    await bench.start({ transport: 'ws' });
    const raw = await upgraded();
    const ping = frame(Opcode.Ping, 'p'.repeat(125));
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => ping));
    raw.socket.write(many);
    raw.socket.write(frame(Opcode.Ping, 'last'));
    await until(() => String(raw.frames().at(-1)?.payload) === 'last');
    assert.ok(raw.frames().length < 500, `${raw.frames().length} answers to 1001 pings`);

    const deaf = await upgraded();
    deaf.socket.pause();
    const { socket } = bench.accepted[1]!;
    // Nothing is read, and the kernel takes no more: answers have nowhere to go.
    while (socket.pendingBytes < 1_000_000) {
      socket.write(Buffer.alloc(500_000));
      await turn();
    }
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => deaf.socket.write(many, resolve));
    }
    deaf.socket.write(frame(Opcode.Binary, 'all read'));
    await until(() => bench.accepted[1]!.received.length > 0);
    deaf.socket.resume();
    const echoed = (text: string) => deaf.frames().some(({ payload }) => String(payload) === text);
    await until(() => echoed('all read'));
    deaf.socket.write(frame(Opcode.Binary, 'all answered'));
    await until(() => echoed('all answered'));
    const answers = deaf.frames().filter(({ opcode }) => opcode === Opcode.Pong);
    assert.ok(answers.length <= 2, `${answers.length} answers were held`);
  });

  it('reads one of many requests that come at once', async () => {
    await bench.start({ transport: 'ws' });
    let requests = 0;
    const onRequest = () => requests++;
    channel('http.server.request.start').subscribe(onRequest);
    const answer = await answered('GET / HTTP/1.1\r\nHost: l\r\n\r\n'.repeat(2_000));
    channel('http.server.request.start').unsubscribe(onRequest);
    assert.match(answer, /^HTTP\/1\.1 404 /);
    assert.equal(requests, 1);
    await until(() => bench.listener.count === 0);
  });

  it('goes on after an answer to a ping that the kernel did not take at once', async () => {
    await bench.start({ transport: 'ws' });
    const accepting = Promise.withResolvers<Socket>();
    const onSocket = (message: unknown) =>
      accepting.resolve((message as { socket: Socket }).socket);
    channel('net.server.socket').subscribe(onSocket);
    const raw = await upgraded();
    const taken = await accepting.promise;
    channel('net.server.socket').unsubscribe(onSocket);
    taken.cork();
    raw.socket.write(frame(Opcode.Ping, 'p'));
    await until(() => taken.writableLength > 0);
    const { socket } = bench.accepted[0]!;
    for (const text of ['one ', 'two']) socket.write(Buffer.from(text));
    await turn();
    await turn();
    taken.uncork();
    await until(() => socket.pendingBytes === 0);
    socket.write(Buffer.from('three'));
    await until(() => String(raw.frames().at(-1)?.payload) === 'three');
    const payloads = raw.frames().map(({ payload }) => String(payload));
    assert.equal(payloads.join(' '), 'p one two three');
  });

  it('answers a close, and ends where the client says nothing more', async () => {
    await bench.start({ transport: 'ws' });
    const closing = await upgraded();
    closing.socket.write(frame(Opcode.Close, Buffer.from([0x03, 0xe8])));
    assert.equal(await closeCode(closing), 1000);
    const half = await upgraded();
    half.socket.end();
    await until(() => bench.listener.count === 0);
    assert.ok(bench.accepted.every(({ closed }) => closed));
  });

  it('closes with 1000 after what was written, and is over when the client has answered', async () => {
    await bench.start({ transport: 'ws' });
    const raw = await upgraded();
    const { socket } = bench.accepted[0]!;
    socket.write(Buffer.from('bye'));
    socket.close(true);
    assert.equal(await closeCode(raw), 1000);
    assert.equal(String(raw.frames()[0]?.payload), 'bye');
    assert.equal(bench.accepted[0]!.closed, true);
    assert.equal(bench.listener.count, 1);
    raw.socket.write(frame(Opcode.Close, Buffer.from([0x03, 0xe8])));
    await until(() => bench.listener.count === 0);
  });
});
