import assert from 'node:assert/strict';
import { decodePublishProperties, encodePublishProperties } from './codec-property.ts';
import { ackPacketId, ackReasonCode, parseAck } from './frame-ack.ts';
import { encodeAck, encodePublish, PINGRESP, patchDup, patchPacketId } from './frame-encode.ts';
import { PublishFields, parsePublish } from './frame-publish.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import type { ProtocolVersion } from './packet.ts';
import { PacketType } from './packet.ts';
import { MalformedPacket } from './packet-error.ts';

interface Seen extends FrameSink {
  readonly frames: string[];
  readonly refusals: number[];
}

/** Collects what a reader reports; every frame must lie within its buffer. */
function collector(): Seen {
  const frames: string[] = [];
  const refusals: number[] = [];
  return {
    frames,
    refusals,
    onFrame(type, flags, buf, start, end, frameStart) {
      assert.ok(frameStart < start && start <= end && end <= buf.length);
      assert.equal(buf[frameStart], (type << 4) | flags);
      frames.push(Buffer.from(buf.subarray(frameStart, end)).toString('hex'));
    },
    onMalformed(reasonCode) {
      refusals.push(reasonCode);
    },
  };
}

function feed(reader: FrameReader, sink: FrameSink, hex: string): void {
  const buf = Buffer.from(hex, 'hex');
  reader.feed(buf, 0, buf.length, sink);
}

function publish(body: string, flags = 0, version: ProtocolVersion = 4): [number, PublishFields] {
  const buf = Buffer.from(body, 'hex');
  const view = new PublishFields();
  return [parsePublish(buf, 0, buf.length, flags, version, view), view];
}

describe('FrameReader', () => {
  const stream = `c000${'3007000461'}2f6263ff${'4002000a'}e000`;
  const frames = ['c000', '3007000461' + '2f6263ff', '4002000a', 'e000'];

  it('cuts a read into frames in place', () => {
    const sink = collector();
    feed(new FrameReader(100), sink, stream);
    assert.deepEqual(sink.frames, frames);
  });

  it('gives the same frames however the bytes are split', () => {
    const bytes = stream.length / 2;
    for (let first = 0; first <= bytes; first++) {
      for (let second = first; second <= bytes; second++) {
        const sink = collector();
        const reader = new FrameReader(100);
        for (const [from, to] of [
          [0, first],
          [first, second],
          [second, bytes],
        ]) {
          feed(reader, sink, stream.slice(2 * from!, 2 * to!));
        }
        assert.deepEqual(sink.frames, frames, `split at ${first} and ${second}`);
        assert.equal(reader.pendingBytes, 0);
      }
    }
  });

  it('copies what it keeps: the read buffer may be overwritten', () => {
    const sink = collector();
    const reader = new FrameReader(100);
    const shared = Buffer.alloc(8);
    for (const byte of Buffer.from(stream, 'hex')) {
      shared.fill(0xee);
      shared[3] = byte;
      reader.feed(shared, 3, 4, sink);
    }
    assert.deepEqual(sink.frames, frames);
  });

  it('does not allocate for a length that was only announced', () => {
    const sink = collector();
    const reader = new FrameReader(300_000_000);
    feed(reader, sink, '30ffffff7f0001');
    assert.equal(reader.pendingBytes, 7);
    feed(reader, sink, '61'.repeat(10));
    assert.equal(reader.pendingBytes, 17);
    assert.deepEqual(sink.frames, []);
  });

  it('reassembles a frame much larger than a read', () => {
    const payload = Buffer.alloc(300_000, 7);
    const frame = Buffer.from(
      encodePublish({ ...defaults, topic: 'big', payload, qos: 1, packetId: 3 }),
    );
    const sink = collector();
    const reader = new FrameReader(frame.length);
    for (let at = 0; at < frame.length; at += 65_536) {
      reader.feed(frame, at, Math.min(at + 65_536, frame.length), sink);
    }
    assert.deepEqual(sink.frames, [frame.toString('hex')]);
  });

  it('refuses a packet too large as soon as its length is known: 0x95', () => {
    for (const parts of [['300b00'], ['30', '0b', '00']]) {
      const sink = collector();
      const reader = new FrameReader(12);
      for (const part of parts) feed(reader, sink, part);
      feed(reader, sink, 'c000');
      assert.deepEqual(sink.refusals, [0x95]);
      assert.deepEqual(sink.frames, []);
    }
    const sink = collector();
    feed(new FrameReader(12), sink, `300a${'00'.repeat(10)}`);
    assert.equal(sink.frames.length, 1);
  });

  it('[MQTT-2.1.3-1] refuses reserved types and flags', () => {
    const bad = ['00', '0f', '11', '41', '60', '80', 'a0', 'c1', 'e1', 'f2', '36', '3e', '3f'];
    for (const first of bad) {
      const sink = collector();
      feed(new FrameReader(100), sink, `${first}00c000`);
      assert.deepEqual(sink.refusals, [0x81], first);
      assert.deepEqual(sink.frames, [], first);
    }
  });

  it('takes DUP in the repeats of an MQTT 3.1 client', () => {
    for (const first of ['8a', 'aa', '6a']) {
      const sink = collector();
      const reader = new FrameReader(100);
      reader.ignoreDup();
      feed(reader, sink, `${first}00c000`);
      assert.equal(sink.frames.length, 2, first);
    }
  });

  it('stops behind the current frame when paused, and tells where', () => {
    const reader = new FrameReader(100);
    const seen: number[] = [];
    const sink: FrameSink = {
      onFrame(type) {
        seen.push(type);
        reader.pause();
      },
      onMalformed: () => assert.fail(),
    };
    const bytes = Buffer.from('c000e000', 'hex');
    assert.equal(reader.feed(bytes, 0, bytes.length, sink), 2);
    assert.deepEqual(seen, [PacketType.Pingreq]);
    reader.resume();
    assert.equal(reader.feed(bytes, 2, bytes.length, sink), 4);
    assert.deepEqual(seen, [PacketType.Pingreq, PacketType.Disconnect]);
  });

  it('refuses a Remaining Length of five bytes', () => {
    for (const parts of [['c08080808001'], ['c0808080', '8001']]) {
      const sink = collector();
      const reader = new FrameReader(100);
      for (const part of parts) feed(reader, sink, part);
      assert.deepEqual(sink.refusals, [0x81]);
    }
  });

  it('stops within a read when told to', () => {
    const reader = new FrameReader(100);
    const seen: number[] = [];
    const sink: FrameSink = {
      onFrame(type) {
        seen.push(type);
        reader.stop();
      },
      onMalformed: () => assert.fail(),
    };
    feed(reader, sink, 'c000c000c0');
    feed(reader, sink, 'c000');
    assert.deepEqual(seen, [PacketType.Pingreq]);
    assert.equal(reader.pendingBytes, 0);
  });

  it('can be stopped by the frame that completes a partial one', () => {
    const reader = new FrameReader(100);
    let frames = 0;
    const sink: FrameSink = {
      onFrame() {
        frames++;
        reader.stop();
      },
      onMalformed: () => assert.fail(),
    };
    feed(reader, sink, 'c0');
    feed(reader, sink, '00c000');
    assert.equal(frames, 1);
  });
});

const defaults = {
  version: 4 as ProtocolVersion,
  topic: 'a',
  payload: new Uint8Array(0),
  qos: 0,
  retain: false,
  dup: false,
  packetId: 0,
};

describe('parsePublish', () => {
  it('reads QoS 0, 1 and 2', () => {
    const [code, view] = publish('0003612f62ff00', 0b0001);
    assert.equal(code, 0);
    assert.deepEqual(
      { ...view },
      {
        topic: 'a/b',
        mayBeOdd: false,
        packetId: 0,
        qos: 0,
        dup: false,
        retain: true,
        topicStart: 2,
        topicEnd: 5,
        propsStart: 5,
        propsEnd: 5,
        payloadStart: 5,
        payloadEnd: 7,
      },
    );
    const [, second] = publish('000161fffe', 0b1100);
    assert.deepEqual([second.qos, second.dup, second.packetId], [2, true, 0xfffe]);
    assert.equal(second.payloadEnd - second.payloadStart, 0);
  });

  it('reads topics beyond ASCII', () => {
    const topic = 'zürich/☃/😀';
    const frame = encodePublish({ ...defaults, topic });
    const view = new PublishFields();
    assert.equal(parsePublish(frame, 2, frame.length, 0, 4, view), 0);
    assert.equal(view.topic, topic);
  });

  it('finds the properties of MQTT 5', () => {
    const [code, view] = publish('000161' + '0001' + '020101' + 'ff', 2, 5);
    assert.equal(code, 0);
    assert.deepEqual(
      [view.propsStart, view.propsEnd, view.payloadStart, view.payloadEnd],
      [6, 8, 8, 9],
    );
  });

  const bad: [
    title: string,
    body: string,
    flags: number,
    version: ProtocolVersion,
    code: number,
  ][] = [
    ['no topic length', '00', 0, 4, 0x81],
    ['a topic beyond the packet', '000561', 0, 4, 0x81],
    ['no Packet Identifier', '00016100', 2, 4, 0x81],
    ['[MQTT-2.2.1-3] Packet Identifier 0', '0001610000', 2, 4, 0x82],
    ['[MQTT-3.3.1-2] DUP with QoS 0', '000161', 8, 4, 0x81],
    ['[MQTT-3.3.1-4] QoS 3', '0001610001', 6, 4, 0x81],
    ['[MQTT-1.5.4-2] U+0000', '00026100', 0, 4, 0x81],
    ['[MQTT-1.5.4-1] a surrogate', '0003eda080', 0, 4, 0x81],
    ['a truncated character', '0001c3', 0, 4, 0x81],
    ['[MQTT-3.3.2-2] #', '0003612f23', 0, 4, 0x90],
    ['[MQTT-3.3.2-2] +', '00012b', 0, 4, 0x90],
    ['[MQTT-4.7.3-1] an empty topic', '0000', 0, 4, 0x82],
    ['an empty topic without an alias', '000000', 0, 5, 0x82],
    ['no property length', '000161', 0, 5, 0x81],
    ['an unfinished property length', '00016180', 0, 5, 0x81],
    ['a property length not in its shortest form', '0001618000', 0, 5, 0x81],
    ['properties one byte beyond the packet', '0001610201', 0, 5, 0x81],
    ['properties beyond the packet', '0001610501', 0, 5, 0x81],
  ];
  for (const [title, body, flags, version, code] of bad) {
    it(`refuses ${title} with 0x${code.toString(16)}`, () => {
      assert.equal(publish(body, flags, version)[0], code);
    });
  }
});

describe('properties of PUBLISH', () => {
  const all = {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 4_294_967_295,
    contentType: 'text/ü',
    responseTopic: 'reply/to',
    correlationData: Uint8Array.of(0, 1, 255),
    userProperties: [
      ['k', 'v'],
      ['k', ''],
      ['é', '☃'],
    ] as [string, string][],
    topicAlias: 65_535,
  };

  it('survive the round trip, order of User Properties included', () => {
    const encoded = encodePublishProperties(all);
    assert.deepEqual(decodePublishProperties(encoded, 0, encoded.length), all);
  });

  it('may carry Subscription Identifiers to a client, never from one [MQTT-3.3.4-6]', () => {
    const encoded = encodePublishProperties({ subscriptionIdentifiers: [1, 128, 268_435_455] });
    assert.equal(Buffer.from(encoded).toString('hex'), '0b010b80010bffffff7f');
    assert.throws(() => decodePublishProperties(encoded, 0, encoded.length), { reasonCode: 0x82 });
  });

  const bad: [title: string, hex: string, code: number][] = [
    ['Topic Alias 0 [MQTT-3.3.2-8]', '230000', 0x94],
    ['a repeated Message Expiry Interval', '02000000010200000001', 0x82],
    ['Payload Format Indicator 2', '0102', 0x82],
    ['a repeated Payload Format Indicator of 0', '01000100', 0x82],
    ['a Response Topic with a wildcard [MQTT-3.3.2-14]', '080003612f23', 0x90],
    ['a property of CONNECT', '210001', 0x82],
    ['an unknown property', '7e00', 0x81],
    ['identifier 0', '0000', 0x81],
    ['a string beyond the end', '03000561', 0x81],
    ['a string that is not UTF-8', '030001ff', 0x81],
    ['a User Property without value', '26000161', 0x81],
  ];
  for (const [title, hex, code] of bad) {
    it(`refuse ${title} with 0x${code.toString(16)}`, () => {
      const buf = Buffer.from(`${hex}ffff`, 'hex');
      assert.throws(
        () => decodePublishProperties(buf, 0, buf.length - 2),
        (error) => error instanceof MalformedPacket && error.reasonCode === code,
      );
    });
  }
});

describe('acknowledgements', () => {
  const parse = (hex: string, version: ProtocolVersion, type?: number): number => {
    const buf = Buffer.from(hex, 'hex');
    return parseAck(buf, 0, buf.length, version, type);
  };

  it('give Packet Identifier and Reason Code', () => {
    const ack = parse('ffff' + '9200', 5, PacketType.Pubcomp);
    assert.equal(ackPacketId(ack), 0xffff);
    assert.equal(ackReasonCode(ack), 0x92);
    assert.equal(ackReasonCode(parse('0001', 5)), 0);
    assert.equal(ackReasonCode(parse('000180', 5)), 0x80);
    assert.equal(ackPacketId(parse('0102' + '10' + '09' + '1f0001612600000000', 5)), 0x102);
  });

  it('are refused when malformed', () => {
    assert.equal(parse('00', 4), -0x81);
    assert.equal(parse('000100', 4), -0x81);
    assert.equal(parse('0000', 4), -0x82);
    assert.equal(parse('00010005', 5), -0x81);
    assert.equal(parse('0001000000', 5), -0x81);
    assert.equal(parse('00010003210001', 5), -0x82);
    assert.equal(parse('000192', 5, PacketType.Puback), -0x82);
    assert.equal(parse('000110', 5, PacketType.Pubrel), -0x82);
  });

  it('are encoded in their shortest form, [MQTT-3.6.1-1] PUBREL with its flags', () => {
    const hex = (...args: Parameters<typeof encodeAck>) =>
      Buffer.from(encodeAck(...args)).toString('hex');
    assert.equal(hex(PacketType.Puback, 0x1234, 4), '40021234');
    assert.equal(hex(PacketType.Pubrel, 0x1234, 5, 0), '62021234');
    assert.equal(hex(PacketType.Pubcomp, 1, 5, 0x92), '7003000192');
    assert.equal(hex(PacketType.Pubrec, 1, 4, 0x97), '50020001');
    assert.equal(Buffer.from(PINGRESP).toString('hex'), 'd000');
  });

  it('keep their bytes while thousands more are encoded', () => {
    const frames = Array.from({ length: 5000 }, (_, id) =>
      encodeAck(PacketType.Pubcomp, id, 5, id % 3 === 0 ? 0x92 : 0),
    );
    frames.forEach((frame, id) => {
      const body = id.toString(16).padStart(4, '0');
      const hex = id % 3 === 0 ? `7003${body}92` : `7002${body}`;
      assert.equal(Buffer.from(frame).toString('hex'), hex);
    });
  });
});

describe('encodePublish', () => {
  it('is sized exactly for every width of Remaining Length', () => {
    for (const size of [0, 120, 130, 16_380, 16_390, 2_097_140, 2_097_160]) {
      const frame = encodePublish({ ...defaults, payload: new Uint8Array(size) });
      const view = new PublishFields();
      const sink = collector();
      let calls = 0;
      sink.onFrame = (_type, flags, buf, start, end) => {
        calls++;
        assert.equal(end, frame.length);
        assert.equal(parsePublish(buf, start, end, flags, 4, view), 0);
      };
      new FrameReader(frame.length).feed(frame, 0, frame.length, sink);
      assert.equal(calls, 1);
      assert.equal(view.payloadEnd - view.payloadStart, size);
    }
  });

  it('leaves properties out before MQTT 5', () => {
    const properties = encodePublishProperties({ contentType: 'x' });
    const frame = encodePublish({ ...defaults, properties });
    assert.equal(Buffer.from(frame).toString('hex'), '3003000161');
    const five = encodePublish({ ...defaults, version: 5, properties });
    assert.equal(Buffer.from(five).toString('hex'), '30080001610403000178');
  });

  it('takes another Packet Identifier and DUP in place', () => {
    for (const size of [0, 1000]) {
      const payload = new Uint8Array(size).fill(9);
      const frame = encodePublish({ ...defaults, topic: 'ü/x', payload, qos: 1, packetId: 1 });
      patchPacketId(frame, 0xabcd);
      patchDup(frame);
      const expected = { ...defaults, topic: 'ü/x', payload, qos: 1, dup: true, packetId: 0xabcd };
      assert.deepEqual(frame, encodePublish(expected));
    }
  });
});
