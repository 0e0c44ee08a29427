import assert from 'node:assert/strict';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import {
  encodeConnect,
  encodeDisconnect,
  encodeSubscribe,
  PacketType,
  publishTemplate,
  type Qos,
  visitPackets,
  writeAck,
} from '../src/load/codec.ts';

function parseWithLibrary(bytes: Buffer): mqttPacket.Packet[] {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser();
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(bytes);
  return packets;
}

interface Visited {
  type: number;
  flags: number;
  body: string;
}

function collect(bytes: Buffer, end = bytes.length): { visited: Visited[]; used: number } {
  const visited: Visited[] = [];
  const used = visitPackets(bytes, 0, end, {
    onPacket: (type, flags, buffer, start, stop) =>
      visited.push({ type, flags, body: buffer.toString('hex', start, stop) }),
  });
  return { visited, used };
}

describe('load generator codec', () => {
  it('writes CONNECT as the library reads it', () => {
    const [packet] = parseWithLibrary(encodeConnect('bench-1', false)) as [
      mqttPacket.IConnectPacket,
    ];
    assert.equal(packet.cmd, 'connect');
    assert.equal(packet.protocolVersion, 4);
    assert.equal(packet.clientId, 'bench-1');
    assert.equal(packet.clean, false);
    assert.equal(packet.keepalive, 600);
  });

  it('writes SUBSCRIBE and DISCONNECT as the library reads them', () => {
    const bytes = Buffer.concat([encodeSubscribe(513, 'a/+/#', 1), encodeDisconnect()]);
    const [subscribe, disconnect] = parseWithLibrary(bytes) as [
      mqttPacket.ISubscribePacket,
      mqttPacket.IDisconnectPacket,
    ];
    assert.equal(subscribe.messageId, 513);
    assert.equal(subscribe.subscriptions[0]?.topic, 'a/+/#');
    assert.equal(subscribe.subscriptions[0]?.qos, 1);
    assert.equal(disconnect.cmd, 'disconnect');
  });

  it('patches PUBLISH templates in the right places, for any topic, QoS and payload', () => {
    const topic = fc.stringMatching(/^[a-z0-9/]{1,300}$/);
    const payloads = fc.uint8Array({ minLength: 8, maxLength: 20_000 });
    fc.assert(
      fc.property(
        topic,
        fc.constantFrom<Qos>(0, 1, 2),
        payloads,
        fc.integer({ min: 1, max: 0xffff }),
        (name, qos, payload, packetId) => {
          const template = publishTemplate(name, qos, Buffer.from(payload));
          template.bytes.writeDoubleLE(1234.5, template.payloadAt);
          if (qos > 0) template.bytes.writeUInt16BE(packetId, template.packetIdAt);
          const [packet] = parseWithLibrary(template.bytes) as [mqttPacket.IPublishPacket];
          assert.equal(packet.topic, name);
          assert.equal(packet.qos, qos);
          assert.equal(packet.messageId, qos > 0 ? packetId : undefined);
          const received = packet.payload as Buffer;
          assert.equal(received.length, payload.length);
          assert.equal(received.readDoubleLE(0), 1234.5);
          assert.deepEqual([...received.subarray(8)], [...payload.subarray(8)]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('writes each acknowledgement with its required flags [MQTT-3.6.1-1]', () => {
    const bytes = Buffer.alloc(16);
    const types = [PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP];
    for (const [i, type] of types.entries()) writeAck(bytes, i * 4, type, 0xfffe);
    const packets = parseWithLibrary(bytes) as mqttPacket.IPubackPacket[];
    assert.deepEqual(
      packets.map((packet) => [packet.cmd, packet.messageId]),
      [
        ['puback', 0xfffe],
        ['pubrec', 0xfffe],
        ['pubrel', 0xfffe],
        ['pubcomp', 0xfffe],
      ],
    );
  });

  it('finds the same packets however the stream is cut', () => {
    const sizes = fc.array(fc.integer({ min: 8, max: 400 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sizes, fc.nat(), (lengths, cutSeed) => {
        const stream = Buffer.concat(
          lengths.map((n) => publishTemplate('t', 1, Buffer.alloc(n, n)).bytes),
        );
        const whole = collect(stream);
        assert.equal(whole.used, stream.length);
        assert.equal(whole.visited.length, lengths.length);
        const cut = cutSeed % (stream.length + 1);
        const first = collect(stream, cut);
        const rest = collect(stream.subarray(first.used));
        assert.deepEqual([...first.visited, ...rest.visited], whole.visited);
      }),
    );
  });

  it('refuses a Remaining Length of five bytes [MQTT-2.2.3]', () => {
    assert.throws(() => collect(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])), RangeError);
  });
});
