/** What does a packet cost on the wire: by hand, and through mqtt-packet? ns per packet. */
import { cpus } from 'node:os';
import mqttPacket from 'mqtt-packet';
import { decodeControl } from '../../packages/broker/src/mqtt/codec.ts';
import {
  decodePublishProperties,
  encodePublishProperties,
} from '../../packages/broker/src/mqtt/codec-property.ts';
import { parseAck } from '../../packages/broker/src/mqtt/frame-ack.ts';
import { encodeAck, encodePublish } from '../../packages/broker/src/mqtt/frame-encode.ts';
import { PublishFields, parsePublish } from '../../packages/broker/src/mqtt/frame-publish.ts';
import { FrameReader, type FrameSink } from '../../packages/broker/src/mqtt/frame-reader.ts';
import { PacketType } from '../../packages/broker/src/mqtt/packet.ts';

const PACKETS = 20_000;
const ROUNDS = 5;
const topic = 'site/7/line/3/sensor/42/temperature';
const payload = Buffer.alloc(64, 0x61);
const base = { topic, payload, retain: false, dup: false, packetId: 77 };
const properties = encodePublishProperties({ contentType: 'text', userProperties: [['k', 'v']] });

/** One 64 KiB read full of the same frame. */
function filled(frame: Uint8Array): { buffer: Buffer; frames: number } {
  const frames = Math.floor(65_536 / frame.length);
  return { buffer: Buffer.concat(Array.from({ length: frames }, () => frame)), frames };
}

const view = new PublishFields();
let kept = 0;
const sink: FrameSink = {
  onFrame(type, flags, buf, start, end) {
    if (type === PacketType.Publish) {
      parsePublish(buf, start, end, flags, version, view);
      kept += view.topic.length + view.payloadEnd;
      if (view.propsEnd > view.propsStart) {
        kept += decodePublishProperties(buf, view.propsStart, view.propsEnd).contentType!.length;
      }
    } else if (type === PacketType.Puback) {
      kept += parseAck(buf, start, end, version, type);
    }
  },
  onMalformed(_code, why) {
    throw new Error(why);
  },
};
let version: 4 | 5 = 4;

function parseAll(frame: Uint8Array, v: 4 | 5): () => number {
  const { buffer, frames } = filled(frame);
  return () => {
    version = v;
    const reader = new FrameReader(1 << 20);
    let done = 0;
    for (; done < PACKETS; done += frames) reader.feed(buffer, 0, buffer.length, sink);
    return done;
  };
}

function parseByMqttPacket(frame: Uint8Array, protocolVersion: number): () => number {
  const { buffer, frames } = filled(frame);
  return () => {
    const parser = mqttPacket.parser({ protocolVersion });
    parser.on('packet', (packet) => {
      kept += packet.length ?? 0;
    });
    let done = 0;
    for (; done < PACKETS; done += frames) parser.parse(buffer);
    return done;
  };
}

function repeat(make: () => number): () => number {
  return () => {
    for (let i = 0; i < PACKETS; i++) kept += make();
    return PACKETS;
  };
}

const publish0 = encodePublish({ ...base, version: 4, qos: 0 });
const publish1 = encodePublish({ ...base, version: 4, qos: 1 });
const publish5 = encodePublish({ ...base, version: 5, qos: 1, properties });
const puback = encodeAck(PacketType.Puback, 77, 4);
const connect = mqttPacket.generate({
  cmd: 'connect',
  protocolVersion: 5,
  clientId: 'client-123456',
  clean: false,
  keepalive: 60,
  properties: { sessionExpiryInterval: 3600, receiveMaximum: 100 },
});

const variants: [name: string, run: () => number][] = [
  ['parse PUBLISH QoS 0', parseAll(publish0, 4)],
  ['parse PUBLISH QoS 1', parseAll(publish1, 4)],
  ['parse PUBLISH QoS 1, two properties', parseAll(publish5, 5)],
  ['parse PUBACK', parseAll(puback, 4)],
  ['parse PUBLISH QoS 1, mqtt-packet', parseByMqttPacket(publish1, 4)],
  ['parse PUBLISH, two properties, mqtt-packet', parseByMqttPacket(publish5, 5)],
  ['parse PUBACK, mqtt-packet', parseByMqttPacket(puback, 4)],
  ['decode CONNECT', repeat(() => decodeControl(connect, 4).type.length)],
  ['encode PUBLISH QoS 0', repeat(() => encodePublish({ ...base, version: 4, qos: 0 }).length)],
  [
    'encode PUBLISH QoS 1, properties',
    repeat(() => encodePublish({ ...base, version: 5, qos: 1, properties }).length),
  ],
  ['encode PUBACK', repeat(() => encodeAck(PacketType.Puback, 77, 4).length)],
  [
    'encode PUBLISH QoS 1, mqtt-packet',
    repeat(() => mqttPacket.generate({ cmd: 'publish', ...base, qos: 1, messageId: 77 }).length),
  ],
];

console.log(`${cpus()[0]?.model}, Node ${process.version}, topic ${topic.length} B, payload 64 B`);
const best = new Map<string, number>();
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, run] of variants) {
    const start = process.hrtime.bigint();
    const packets = run();
    const ns = Number(process.hrtime.bigint() - start) / packets;
    if (round > 0) best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, ns));
  }
}
for (const [name, ns] of best) console.log(`${name.padEnd(44)} ${ns.toFixed(0).padStart(6)} ns`);
if (kept === 0) throw new Error('nothing was measured');
