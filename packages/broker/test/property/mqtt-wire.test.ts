/** The wire format against mqtt-packet, both ways, and against noise. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { decodeControl } from '../../src/mqtt/codec.ts';
import { decodePublishProperties, encodePublishProperties } from '../../src/mqtt/codec-property.ts';
import { ackPacketId, ackReasonCode, parseAck } from '../../src/mqtt/frame-ack.ts';
import { encodeAck, encodePublish } from '../../src/mqtt/frame-encode.ts';
import { PublishFields, parsePublish } from '../../src/mqtt/frame-publish.ts';
import { FrameReader, type FrameSink } from '../../src/mqtt/frame-reader.ts';
import { PacketType, type ProtocolVersion } from '../../src/mqtt/packet.ts';
import { MalformedPacket } from '../../src/mqtt/packet-error.ts';
import { isWellFormedFilter } from '../../src/mqtt/topic.ts';

const RUNS = { numRuns: 500 };

/** A string that MQTT can carry: no U+0000, no lone surrogate. */
const text = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((s) => s.replaceAll('\0', '0'))
  .filter((s) => s.isWellFormed());
const topicName = text.map((s) => s.replace(/[#+]/g, '-')).filter((s) => s !== '');
const bytes = fc.uint8Array({ maxLength: 40 });
const packetId = fc.integer({ min: 1, max: 65_535 });
const version = fc.constantFrom<ProtocolVersion>(3, 4, 5);
/** User Properties under unlike names: mqtt-packet loses the order of equal ones. */
const userProperties = fc.uniqueArray(
  fc.tuple(
    text.filter((s) => !/^\d*$/.test(s)),
    text,
  ),
  { maxLength: 3, selector: ([name]) => name },
);

const publish = fc.record({
  version,
  topic: topicName,
  payload: bytes,
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
  dup: fc.boolean(),
  packetId,
  props: fc.record(
    {
      payloadFormatIndicator: fc.constantFrom(0, 1),
      messageExpiryInterval: fc.nat({ max: 0xffffffff }),
      contentType: text,
      responseTopic: topicName,
      correlationData: bytes,
      userProperties: userProperties.filter((pairs) => pairs.length > 0),
      topicAlias: fc.integer({ min: 1, max: 65_535 }),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
});

function parseByOracle(frame: Uint8Array, protocolVersion: number): mqttPacket.Packet {
  const parser = mqttPacket.parser({ protocolVersion });
  const packets: mqttPacket.Packet[] = [];
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(Buffer.from(frame));
  assert.equal(packets.length, 1);
  return packets[0]!;
}

function plain(data: Uint8Array | string | undefined): number[] {
  return [...Buffer.from(data ?? [])];
}

describe('PUBLISH and mqtt-packet', () => {
  it('read what mqtt-packet writes, and write what it reads', () => {
    fc.assert(
      fc.property(publish, (p) => {
        const dup = p.dup && p.qos > 0;
        const five = p.version === 5;
        const properties = five ? encodePublishProperties(p.props) : undefined;
        const frame = encodePublish({ ...p, dup, properties });

        const theirs = parseByOracle(frame, p.version) as mqttPacket.IPublishPacket;
        assert.equal(theirs.topic, p.topic);
        assert.deepEqual(plain(theirs.payload), plain(p.payload));
        assert.equal(theirs.qos, p.qos);
        assert.equal(theirs.retain, p.retain);
        assert.equal(theirs.dup, dup);
        assert.equal(theirs.messageId, p.qos > 0 ? p.packetId : undefined);

        const again = mqttPacket.generate(theirs, { protocolVersion: p.version });
        const view = new PublishFields();
        let frames = 0;
        new FrameReader(again.length).feed(again, 0, again.length, {
          onFrame(type, flags, buf, start, end) {
            frames++;
            assert.equal(type, PacketType.Publish);
            assert.equal(parsePublish(buf, start, end, flags, p.version, view), 0);
          },
          onMalformed: (code, why) => assert.fail(`${code} ${why}`),
        });
        assert.equal(frames, 1);
        assert.equal(view.topic, p.topic);
        assert.equal(view.qos, p.qos);
        assert.equal(view.dup, dup);
        assert.equal(view.retain, p.retain);
        assert.equal(view.packetId, p.qos > 0 ? p.packetId : 0);
        assert.deepEqual(
          plain(again.subarray(view.payloadStart, view.payloadEnd)),
          plain(p.payload),
        );
        assert.deepEqual(
          decodePublishProperties(again, view.propsStart, view.propsEnd),
          five ? p.props : {},
        );
      }),
      RUNS,
    );
  });

  it('acknowledgements agree both ways', () => {
    const kinds = [
      ['puback', PacketType.Puback, 0x10],
      ['pubrec', PacketType.Pubrec, 0x97],
      ['pubrel', PacketType.Pubrel, 0x92],
      ['pubcomp', PacketType.Pubcomp, 0x92],
    ] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        packetId,
        version,
        fc.boolean(),
        fc.option(text, { nil: undefined }),
        ([cmd, type, failure], id, v, failed, reasonString) => {
          const reasonCode = v === 5 && failed ? failure : 0;
          const theirs = parseByOracle(encodeAck(type, id, v, reasonCode), v);
          assert.equal(theirs.cmd, cmd);
          assert.equal(theirs.messageId, id);
          if (v === 5)
            assert.equal((theirs as mqttPacket.IPubackPacket).reasonCode ?? 0, reasonCode);

          const properties = reasonString === undefined ? undefined : { reasonString };
          const frame = mqttPacket.generate(
            { cmd, messageId: id, reasonCode, ...(properties && { properties }) },
            { protocolVersion: v },
          );
          const ack = parseAck(frame, 2, frame.length, v, type);
          assert.equal(ackPacketId(ack), id);
          assert.equal(ackReasonCode(ack), reasonCode);
        },
      ),
      RUNS,
    );
  });
});

/** Valid frames of every type that a client sends, as material for mutations. */
const connect = fc
  .record({
    protocolVersion: fc.constantFrom(4 as const, 5 as const),
    clean: fc.boolean(),
    clientId: text.filter((s) => s !== ''),
    keepalive: fc.nat({ max: 65_535 }),
    username: fc.option(text, { nil: undefined }),
    will: fc.option(
      fc.record({
        topic: topicName,
        payload: bytes.map((b) => Buffer.from(b)),
        qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
        retain: fc.boolean(),
      }),
      { nil: undefined },
    ),
  })
  .map(
    ({ username, will, ...rest }): mqttPacket.IConnectPacket => ({
      cmd: 'connect',
      protocolId: 'MQTT',
      ...rest,
      ...(username !== undefined && { username, password: Buffer.from('secret') }),
      ...(will && { will }),
    }),
  );

const subscriptions = fc.array(
  fc.record({
    topic: text.filter(isWellFormedFilter),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    nl: fc.boolean(),
    rap: fc.boolean(),
    rh: fc.constantFrom(0, 1, 2),
  }),
  { minLength: 1, maxLength: 4 },
);

describe('control packets and mqtt-packet', () => {
  it('read the CONNECT that mqtt-packet writes', () => {
    fc.assert(
      fc.property(connect, (packet) => {
        const decoded = decodeControl(mqttPacket.generate(packet), 4);
        assert.ok(decoded.type === 'connect');
        assert.equal(decoded.clientId, packet.clientId);
        assert.equal(decoded.cleanStart, packet.clean);
        assert.equal(decoded.keepAliveSeconds, packet.keepalive);
        assert.equal(decoded.username, packet.username);
        assert.deepEqual(plain(decoded.password), plain(packet.password));
        assert.equal(decoded.will?.topic, packet.will?.topic);
        assert.equal(decoded.will?.qos, packet.will?.qos);
        assert.equal(decoded.will?.retain, packet.will?.retain);
        assert.deepEqual(plain(decoded.will?.payload), plain(packet.will?.payload));
      }),
      RUNS,
    );
  });

  it('read the SUBSCRIBE and UNSUBSCRIBE that mqtt-packet writes', () => {
    fc.assert(
      fc.property(subscriptions, packetId, version, (list, id, v) => {
        const five = v === 5;
        const subscribe = mqttPacket.generate(
          { cmd: 'subscribe', messageId: id, subscriptions: list },
          { protocolVersion: v },
        );
        const noLocalShared = list.some((s) => five && s.nl && s.topic.startsWith('$share/'));
        fc.pre(!noLocalShared);
        assert.deepEqual(decodeControl(subscribe, v), {
          type: 'subscribe',
          packetId: id,
          subscriptions: list.map((s) => ({
            filter: s.topic,
            qos: s.qos,
            noLocal: five && s.nl,
            retainAsPublished: five && s.rap,
            retainHandling: five ? s.rh : 0,
          })),
        });
        const filters = list.map((s) => s.topic);
        const unsubscribe = mqttPacket.generate(
          { cmd: 'unsubscribe', messageId: id, unsubscriptions: filters },
          { protocolVersion: v },
        );
        assert.deepEqual(decodeControl(unsubscribe, v), {
          type: 'unsubscribe',
          packetId: id,
          filters,
        });
      }),
      RUNS,
    );
  });
});

/** What a connection does with a frame; fails on anything thrown but MalformedPacket. */
function digest(v: ProtocolVersion): FrameSink & { readonly log: string[] } {
  const log: string[] = [];
  const view = new PublishFields();
  return {
    log,
    onFrame(type, flags, buf, start, end, frameStart) {
      assert.ok(frameStart >= 0 && frameStart < start && start <= end && end <= buf.length);
      log.push(Buffer.from(buf.subarray(frameStart, end)).toString('hex'));
      try {
        if (type === PacketType.Publish) {
          const code = parsePublish(buf, start, end, flags, v, view);
          log.push(`${code}`);
          if (code !== 0) return;
          assert.ok(view.topicStart <= view.topicEnd && view.topicEnd <= view.propsStart);
          assert.ok(view.propsStart <= view.propsEnd && view.propsEnd === view.payloadStart);
          assert.ok(view.payloadStart <= view.payloadEnd && view.payloadEnd === end);
          decodePublishProperties(buf, view.propsStart, view.propsEnd);
        } else if (type >= PacketType.Puback && type <= PacketType.Pubcomp) {
          log.push(`${parseAck(buf, start, end, v, type)}`);
        } else if (type !== PacketType.Pingreq) {
          log.push(decodeControl(buf.subarray(frameStart, end), v).type);
        }
      } catch (error) {
        assert.ok(error instanceof MalformedPacket, String(error));
        assert.ok(error.reasonCode >= 0x81 && error.reasonCode <= 0x94);
      }
    },
    onMalformed(code) {
      log.push(`malformed ${code}`);
    },
  };
}

/** Feeds `stream` from the middle of a poisoned buffer in pieces: nothing outside may matter. */
function feedInPieces(stream: Uint8Array, cuts: number[], v: ProtocolVersion, poison: number) {
  const sink = digest(v);
  const reader = new FrameReader(1 << 20);
  const buffer = new Uint8Array(stream.length + 64).fill(poison);
  buffer.set(stream, 32);
  let from = 0;
  for (const cut of [...cuts, stream.length].sort((a, b) => a - b)) {
    const to = Math.min(cut, stream.length);
    reader.feed(buffer, 32 + from, 32 + to, sink);
    from = to;
  }
  return sink.log;
}

const valid = fc.oneof(
  publish.map((p) =>
    encodePublish({
      ...p,
      dup: false,
      properties: p.version === 5 ? encodePublishProperties(p.props) : undefined,
    }),
  ),
  connect.map((packet) => mqttPacket.generate(packet)),
  fc
    .tuple(subscriptions, packetId, version)
    .map(([list, id, protocolVersion]) =>
      mqttPacket.generate(
        { cmd: 'subscribe', messageId: id, subscriptions: list },
        { protocolVersion },
      ),
    ),
  fc.constant(Buffer.from('e00700051100000001', 'hex')),
  fc.constant(Buffer.from('f00618041500016d', 'hex')),
);
const mutation = fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 255 }));
const mutated = fc
  .tuple(fc.array(valid, { minLength: 1, maxLength: 3 }), fc.array(mutation, { maxLength: 4 }))
  .map(([frames, mutations]) => {
    const stream = new Uint8Array(Buffer.concat(frames));
    for (const [at, byte] of mutations) if (at < stream.length) stream[at] = byte;
    return stream;
  });
const noise = fc.oneof(
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
);

describe('noise', () => {
  it('yields frames or a refusal, the same however it is split, and never another error', () => {
    fc.assert(
      fc.property(
        noise,
        fc.array(fc.nat({ max: 300 }), { maxLength: 5 }),
        version,
        (s, cuts, v) => {
          const whole = feedInPieces(s, [], v, 0x00);
          assert.deepEqual(feedInPieces(s, cuts, v, 0x00), whole);
          // Were a byte beyond the end read, another poison would change the outcome.
          assert.deepEqual(feedInPieces(s, [], v, 0xff), whole);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
