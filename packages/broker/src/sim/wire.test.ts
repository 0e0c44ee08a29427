import assert from 'node:assert/strict';
import mqttPacket from 'mqtt-packet';
import {
  encodeAck,
  encodeConnect,
  encodeDisconnect,
  encodePublish,
  encodeSubscribe,
  encodeUnsubscribe,
  PacketReader,
  PINGREQ,
  type ProtocolVersion,
  type ServerPacket,
} from './wire.ts';

function parse(bytes: Uint8Array, protocolVersion: ProtocolVersion) {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => assert.fail(error));
  parser.parse(Buffer.from(bytes));
  assert.equal(packets.length, 1);
  return packets[0] as unknown as Record<string, unknown>;
}

function read(version: ProtocolVersion, packet: mqttPacket.Packet): ServerPacket[] {
  const bytes = new Uint8Array(mqttPacket.generate(packet, { protocolVersion: version }));
  const reader = new PacketReader(version);
  const found: ServerPacket[] = [];
  // In two pieces at every place, so that partial packets are covered.
  const cut = bytes.length >> 1;
  reader.feed(bytes.subarray(0, cut), (p) => found.push(p));
  reader.feed(bytes.subarray(cut), (p) => found.push(p));
  return found;
}

describe('simulated client: wire format, with mqtt-packet as oracle', () => {
  for (const version of [4, 5] as const) {
    it(`writes version ${version} as mqtt-packet reads it`, () => {
      const connect = parse(
        encodeConnect({
          version,
          clientId: 'c',
          cleanStart: false,
          keepAliveSeconds: 7,
          sessionExpirySeconds: 100,
          receiveMaximum: 9,
          will: { topic: 'w/c', payload: '#1', qos: 2, retain: false, delaySeconds: 3 },
        }),
        version,
      );
      assert.equal(connect['clientId'], 'c');
      assert.equal(connect['clean'], false);
      assert.equal(connect['keepalive'], 7);
      const will = connect['will'] as { topic: string; qos: number; properties?: object };
      assert.equal(will.topic, 'w/c');
      assert.equal(will.qos, 2);
      if (version === 5) {
        assert.deepEqual(
          { ...(connect['properties'] as object) },
          {
            sessionExpiryInterval: 100,
            receiveMaximum: 9,
          },
        );
        assert.deepEqual({ ...will.properties }, { willDelayInterval: 3 });
      }
      const publish = parse(
        encodePublish({
          version,
          topic: 'a/b',
          payload: 'x',
          qos: 1,
          dup: true,
          retain: true,
          packetId: 300,
        }),
        version,
      );
      assert.equal(publish['topic'], 'a/b');
      assert.equal(String(publish['payload']), 'x');
      assert.equal(publish['messageId'], 300);
      assert.equal(publish['dup'], true);
      assert.equal(publish['retain'], true);
      const subscribe = parse(encodeSubscribe(version, 5, [{ filter: 'a/#', qos: 2 }]), version);
      const [first] = subscribe['subscriptions'] as { topic: string; qos: number }[];
      assert.equal(first?.topic, 'a/#');
      assert.equal(first?.qos, 2);
      if (version === 5) {
        const identified = encodeSubscribe(version, 5, [{ filter: 'a', qos: 0 }], 12);
        const { properties } = parse(identified, version) as { properties?: object };
        assert.deepEqual(properties, { subscriptionIdentifier: 12 });
      }
      const unsubscribe = parse(encodeUnsubscribe(version, 6, ['a/#']), version);
      assert.deepEqual(unsubscribe['unsubscriptions'], ['a/#']);
      for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
        assert.equal(parse(encodeAck(type, 77), version)['messageId'], 77);
      }
      assert.equal(parse(encodeDisconnect(version, 4), version)['cmd'], 'disconnect');
      assert.equal(parse(PINGREQ, version)['cmd'], 'pingreq');
    });

    it(`reads version ${version} as mqtt-packet writes it`, () => {
      const [connack] = read(version, {
        cmd: 'connack',
        sessionPresent: true,
        returnCode: 0,
        reasonCode: 0,
        ...(version === 5 ? { properties: { receiveMaximum: 12 } } : {}),
      });
      assert.equal(connack?.type, 'connack');
      assert.equal(connack?.type === 'connack' && connack.sessionPresent, true);
      assert.equal(
        connack?.type === 'connack' && connack.receiveMaximum,
        version === 5 ? 12 : 65_535,
      );
      const [publish] = read(version, {
        cmd: 'publish',
        topic: 'a',
        payload: '#4 ..',
        qos: 2,
        dup: true,
        retain: false,
        messageId: 1025,
        ...(version === 5 ? { properties: { subscriptionIdentifier: 200, contentType: 't' } } : {}),
      } as mqttPacket.Packet);
      assert.deepEqual(publish, {
        type: 'publish',
        topic: 'a',
        qos: 2,
        dup: true,
        retain: false,
        packetId: 1025,
        payload: '#4 ..',
        identifiers: version === 5 ? [200] : [],
      });
      const [suback] = read(version, { cmd: 'suback', messageId: 3, granted: [1, 0x80] });
      assert.deepEqual(suback, { type: 'suback', packetId: 3, reasonCodes: [1, 0x80] });
      const [pubrel] = read(version, { cmd: 'pubrel', messageId: 9 });
      assert.deepEqual(pubrel, { type: 'pubrel', packetId: 9, reasonCode: 0 });
    });
  }

  it('refuses what a broker must not send', () => {
    const reader = new PacketReader(4);
    assert.throws(() => reader.feed(Uint8Array.of(0x40, 2, 0, 0), () => {}), /Identifier 0/);
    assert.throws(() => reader.feed(Uint8Array.of(0xc0, 0), () => {}), /packet type 12/);
    assert.throws(() => new PacketReader(4).feed(Uint8Array.of(0xe0, 0), () => {}), /DISCONNECT/);
  });
});
