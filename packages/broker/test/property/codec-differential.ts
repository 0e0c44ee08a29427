/**
 * The codec beside mqtt-packet, on packets that mqtt-packet writes, most of them damaged.
 *
 * What the codec takes, mqtt-packet takes too and reads the same; what it refuses, it refuses by a Reason Code
 * and never by another error. mqtt-packet checks less, so that it takes more.
 */
import assert from 'node:assert/strict';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { decodeControl } from '../../src/mqtt/codec.ts';
import { decodePublishProperties } from '../../src/mqtt/codec-property.ts';
import { ackPacketId, parseAck } from '../../src/mqtt/frame-ack.ts';
import { PublishFields, parsePublish } from '../../src/mqtt/frame-publish.ts';
import { FrameReader } from '../../src/mqtt/frame-reader.ts';
import { PacketType, type ProtocolVersion } from '../../src/mqtt/packet.ts';
import { MalformedPacket } from '../../src/mqtt/packet-error.ts';

const PACKET_BYTES = 4096;
const SHORT = 'without properties';

/** Park and Miller's generator. */
class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed % 2_147_483_646) + 1;
  }

  below(n: number): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state % n;
  }

  one<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** In short what a packet says, the same for both codecs. */
type Reading = readonly unknown[];

interface Outcome {
  /** Packets taken by the codec, and compared. */
  readonly taken: number;
  readonly refused: number;
  /** Of the refused, those that mqtt-packet takes. */
  readonly stricter: number;
}

const TEXTS = ['', 'a', 'a/b', 'é', '#', '+/x', '$share/g/t', '\ufeff', 'x'.repeat(130), '$SYS/x'];

function propertiesOf(d: Draw, kinds: Readonly<Record<string, () => unknown>>): object {
  const out: Record<string, unknown> = {};
  for (const [name, make] of Object.entries(kinds)) if (d.below(3) === 0) out[name] = make();
  return out;
}

function packetOf(d: Draw, version: ProtocolVersion): Packet {
  const text = () => d.one(TEXTS);
  const bytes = () => Buffer.from(Array.from({ length: d.below(20) }, () => d.below(256)));
  const id = () => 1 + d.below(65_535);
  const qos = () => d.below(3) as 0 | 1 | 2;
  const user = () => ({ [d.one(['k', 'é'])]: d.one(['v', 'w']) });
  const seconds = () => d.below(0xffffffff);
  const message = {
    payloadFormatIndicator: () => d.below(2) === 1,
    messageExpiryInterval: seconds,
    contentType: text,
    responseTopic: () => 'r',
    correlationData: bytes,
    userProperties: user,
  };
  const only5 = (kinds: Readonly<Record<string, () => unknown>>) =>
    version === 5 ? { properties: propertiesOf(d, kinds) } : {};
  const level = qos();
  switch (d.below(8)) {
    case 0: {
      const will = { topic: 'w', payload: bytes(), qos: qos(), retain: d.below(2) === 1 };
      return {
        cmd: 'connect',
        protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
        protocolVersion: version,
        clean: d.below(2) === 1 || version < 5,
        clientId: `c${d.below(99)}`,
        keepalive: d.below(65_536),
        ...(d.below(2) ? { username: 'u', password: Buffer.from('p') } : {}),
        ...(d.below(2)
          ? { will: { ...will, ...only5({ ...message, willDelayInterval: seconds }) } }
          : {}),
        ...only5({ sessionExpiryInterval: seconds, receiveMaximum: id, userProperties: user }),
      } as Packet;
    }
    case 1: {
      const topic = d.one(['t', 'a/b', 'é', '$SYS/x']);
      const [retain, dup] = [d.below(2) === 1, level > 0 && d.below(2) === 1];
      const o = { payload: bytes(), qos: level, retain, dup, messageId: id() };
      return { cmd: 'publish', topic, ...o, ...only5({ ...message, topicAlias: id }) } as Packet;
    }
    case 2: {
      const one = () => ({ topic: d.one(['a', '#', 'a/+', '$share/g/t']), qos: qos() });
      const subscriptions = Array.from({ length: 1 + d.below(3) }, one);
      const kinds = {
        subscriptionIdentifier: () => 1 + d.below(268_435_455),
        userProperties: user,
      };
      return { cmd: 'subscribe', messageId: id(), subscriptions, ...only5(kinds) } as Packet;
    }
    case 3: {
      const unsubscriptions = Array.from({ length: 1 + d.below(3) }, () =>
        d.one(['a', '#', 'a/+']),
      );
      return {
        cmd: 'unsubscribe',
        messageId: id(),
        unsubscriptions,
        ...only5({ userProperties: user }),
      };
    }
    case 4: {
      const kinds = { sessionExpiryInterval: seconds, reasonString: text, userProperties: user };
      return { cmd: 'disconnect', reasonCode: d.one([0, 4, 0x80]), ...only5(kinds) } as Packet;
    }
    case 5:
      return { cmd: 'pingreq' };
    case 6:
      if (version === 5) {
        const properties = { authenticationMethod: 'm', authenticationData: bytes() };
        return { cmd: 'auth', reasonCode: d.one([0x18, 0x19]), properties } as Packet;
      }
      return { cmd: 'pingreq' };
    default: {
      const cmd = d.one(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const);
      const kinds = { reasonString: text, userProperties: user };
      const others = cmd === 'puback' || cmd === 'pubrec' ? [0x10, 0x80] : [0x92];
      return { cmd, messageId: id(), reasonCode: d.one([0, ...others]), ...only5(kinds) } as Packet;
    }
  }
}

/** Damages a packet in one to three places, and then says its length right, one time of two. */
function damaged(d: Draw, source: Buffer, other: Buffer): Buffer {
  let bytes = Buffer.from(source);
  for (let n = 1 + d.below(3); n > 0; n--) {
    const at = d.below(bytes.length + 1);
    switch (d.below(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << d.below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = d.one([0, 1, 0x7f, 0x80, 0xff, d.below(256)]);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from([d.below(256)]),
          bytes.subarray(at),
        ]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + d.below(4))]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(d.below(other.length))]);
    }
  }
  if (d.below(2) === 1 && bytes.length >= 2 && bytes.length < 130) bytes[1] = bytes.length - 2;
  return bytes;
}

const fields = new PublishFields();

/** What the codec reads; null where it refuses. Any other error passes through. */
function ours(bytes: Uint8Array, version: ProtocolVersion): Reading[] | null {
  const readings: Reading[] = [];
  let refused = false;
  const reader = new FrameReader(PACKET_BYTES);
  if (version === 3) reader.ignoreDup();
  const refuse = () => {
    refused = true;
    reader.stop();
  };
  reader.feed(bytes, 0, bytes.length, {
    onMalformed: refuse,
    onFrame(type, flags, buf, start, end, at) {
      try {
        const reading = readingOf(type, flags, buf, start, end, at, version);
        if (reading === null) refuse();
        else readings.push(reading);
      } catch (error) {
        if (!(error instanceof MalformedPacket)) throw error;
        assert.ok(error.reasonCode >= 0x80 && error.reasonCode <= 0xa2, String(error.reasonCode));
        refuse();
      }
    },
  });
  assert.ok(reader.pendingBytes <= PACKET_BYTES);
  return refused ? null : readings;
}

function readingOf(
  type: number,
  flags: number,
  buf: Uint8Array,
  start: number,
  end: number,
  at: number,
  version: ProtocolVersion,
): Reading | null {
  if (type === PacketType.Publish) {
    if (parsePublish(buf, start, end, flags, version, fields) !== 0) return null;
    if (fields.propsEnd > fields.propsStart)
      decodePublishProperties(buf, fields.propsStart, fields.propsEnd);
    const { topic, qos, retain, dup, packetId, payloadStart, payloadEnd } = fields;
    const payload = Buffer.from(buf.subarray(payloadStart, payloadEnd)).toString('hex');
    return ['publish', topic, qos, retain, dup, qos > 0 ? packetId : 0, payload];
  }
  if (type >= PacketType.Puback && type <= PacketType.Pubcomp) {
    const ack = parseAck(buf, start, end, version, type);
    return ack < 0 ? null : ['ack', type, ackPacketId(ack)];
  }
  if (type === PacketType.Pingreq) return end > start ? null : ['pingreq'];
  const control = decodeControl(buf.subarray(at, end), version);
  switch (control.type) {
    case 'connect':
      return [
        control.type,
        control.clientId,
        control.keepAliveSeconds,
        control.cleanStart,
        control.will?.topic,
      ];
    case 'subscribe':
      return [
        control.type,
        control.packetId,
        ...control.subscriptions.flatMap((s) => [s.filter, s.qos]),
      ];
    case 'unsubscribe':
      return [control.type, control.packetId, ...control.filters];
    case 'disconnect':
      return [
        control.type,
        control.reasonCode,
        ...(version === 5 && end - start < 2 ? [SHORT] : []),
      ];
    default:
      return [control.type, control.reasonCode];
  }
}

const ACKS: readonly string[] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

/** What mqtt-packet reads; null where it refuses. */
function theirs(bytes: Uint8Array, version: ProtocolVersion): Reading[] | null {
  const readings: Reading[] = [];
  let refused = false;
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on('error', () => {
    refused = true;
  });
  parser.on('packet', (p: Packet) => {
    if (p.cmd === 'publish') {
      const payload = Buffer.from(p.payload as Uint8Array).toString('hex');
      readings.push([p.cmd, p.topic, p.qos, p.retain, p.dup, p.messageId ?? 0, payload]);
    } else if (ACKS.includes(p.cmd)) readings.push(['ack', ACKS.indexOf(p.cmd) + 4, p.messageId]);
    else if (p.cmd === 'connect')
      readings.push([p.cmd, p.clientId, p.keepalive, p.clean, p.will?.topic]);
    else if (p.cmd === 'subscribe')
      readings.push([p.cmd, p.messageId, ...p.subscriptions.flatMap((s) => [s.topic, s.qos])]);
    else if (p.cmd === 'unsubscribe') readings.push([p.cmd, p.messageId, ...p.unsubscriptions]);
    else if (p.cmd === 'disconnect' || p.cmd === 'auth') readings.push([p.cmd, p.reasonCode ?? 0]);
    else readings.push([p.cmd]);
  });
  try {
    parser.parse(Buffer.from(bytes));
  } catch {
    return null;
  }
  return refused ? null : readings;
}

/** Runs so many packets; throws with the packet in hexadecimal digits where the two differ. */
export function compare(seed: number, count: number): Outcome {
  const d = new Draw(seed);
  let taken = 0;
  let refused = 0;
  let stricter = 0;
  let before: Buffer = Buffer.from([0xc0, 0]);
  for (let i = 0; i < count; i++) {
    const version = d.one([3, 4, 5] as const);
    const whole = mqttPacket.generate(packetOf(d, version), { protocolVersion: version });
    const bytes = d.below(10) === 0 ? whole : damaged(d, whole, before);
    before = whole;
    const what = `seed ${seed}, packet ${i}, version ${version}: ${bytes.toString('hex')}`;
    const mine = ours(bytes, version);
    if (bytes === whole) assert.ok(mine !== null, what);
    // mqtt-packet does not know that packets of MQTT 3.1 may carry DUP.
    else if (version === 3) continue;
    // It reads on behind a DISCONNECT that ends before its properties (§3.14.2.2.1).
    if (mine?.some((reading) => reading.at(-1) === SHORT)) continue;
    const other = theirs(bytes, version);
    if (mine === null) {
      refused++;
      if (other !== null) stricter++;
    } else {
      taken++;
      assert.deepEqual(other, mine, what);
    }
  }
  return { taken, refused, stricter };
}
