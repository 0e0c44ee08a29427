import assert from 'node:assert/strict';
import mqttPacket from 'mqtt-packet';
import { decodeControl, encodeConnack, encodeDisconnect, encodeSuback } from './codec.ts';
import { encodeUnsuback } from './codec-encode.ts';
import type { Connect, ProtocolVersion, Subscribe } from './packet.ts';
import { MalformedPacket } from './packet-error.ts';
import { ReasonCode } from './reason-code.ts';

/** Bytes from hexadecimal with spaces, and text in quotes. */
function bytes(text: string): Buffer {
  const parts = text.match(/'[^']*'|[0-9a-f]{2}/g) ?? [];
  return Buffer.concat(
    parts.map((part) =>
      part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'),
    ),
  );
}

/** A frame: first byte, Remaining Length (one byte), body. */
function frame(first: number, body: string): Buffer {
  const rest = bytes(body);
  assert.ok(rest.length < 128);
  return Buffer.concat([Buffer.from([first, rest.length]), rest]);
}

const CONNECT = 0x10;
const SUBSCRIBE = 0x82;
const UNSUBSCRIBE = 0xa2;
const DISCONNECT = 0xe0;
const AUTH = 0xf0;
const V3 = "00 06 'MQIsdp' 03";
const V4 = "00 04 'MQTT' 04";
const V5 = "00 04 'MQTT' 05";

const refusals: [title: string, frame: Buffer, version: ProtocolVersion, reasonCode: number][] = [
  // CONNECT
  ['[MQTT-3.1.2-1] protocol name', frame(CONNECT, "00 04 'MQTX' 04 02 00 00 00 00"), 4, 0x84],
  ['[MQTT-3.1.2-2] protocol level', frame(CONNECT, "00 04 'MQTT' 06 02 00 00 00 00"), 4, 0x84],
  ['the bridge bit of the level', frame(CONNECT, "00 04 'MQTT' 84 02 00 00 00 00"), 4, 0x84],
  ['name of 3.1 with level of 3.1.1', frame(CONNECT, "00 06 'MQIsdp' 04 02 00 00 00 00"), 4, 0x84],
  ['[MQTT-3.1.2-3] reserved Connect Flag', frame(CONNECT, `${V4} 03 00 00 00 00`), 4, 0x81],
  ['[MQTT-2.1.3-1] CONNECT flags', frame(0x11, `${V4} 02 00 00 00 00`), 4, 0x81],
  ['[MQTT-3.1.2-11] Will QoS without Will', frame(CONNECT, `${V4} 0a 00 00 00 00`), 4, 0x81],
  ['[MQTT-3.1.2-13] Will Retain without Will', frame(CONNECT, `${V4} 22 00 00 00 00`), 4, 0x81],
  [
    '[MQTT-3.1.2-12] Will QoS 3',
    frame(CONNECT, `${V4} 1e 00 00 00 01 'a' 00 01 't' 00 00`),
    4,
    0x81,
  ],
  [
    'a Will Topic with a wildcard',
    frame(CONNECT, `${V4} 06 00 00 00 01 'a' 00 01 '#' 00 00`),
    4,
    0x90,
  ],
  [
    '[MQTT-4.7.3-1] an empty Will Topic',
    frame(CONNECT, `${V4} 06 00 00 00 01 'a' 00 00 00 00`),
    4,
    0x90,
  ],
  [
    '3.1.1 [MQTT-3.1.2-22] password without user name',
    frame(CONNECT, `${V4} 42 00 00 00 01 'a' 00 01 'p'`),
    4,
    0x81,
  ],
  [
    '3.1.1 [MQTT-3.1.3-8] empty Client Identifier, session kept',
    frame(CONNECT, `${V4} 00 00 00 00 00`),
    4,
    0x85,
  ],
  ['3.1: empty Client Identifier', frame(CONNECT, `${V3} 02 00 00 00 00`), 4, 0x85],
  ['a CONNECT cut short', frame(CONNECT, `${V4} 02 00 00 00 05 'abc'`), 4, 0x81],
  ['bytes behind the CONNECT', frame(CONNECT, `${V4} 02 00 00 00 01 'a' 00`), 4, 0x81],
  ['[MQTT-1.5.4-1] surrogates', frame(CONNECT, `${V4} 02 00 00 00 03 ed a0 80`), 4, 0x81],
  ['[MQTT-1.5.4-1] overlong UTF-8', frame(CONNECT, `${V4} 02 00 00 00 02 c0 af`), 4, 0x81],
  ['[MQTT-1.5.4-2] U+0000', frame(CONNECT, `${V4} 02 00 00 00 03 'a' 00 'b'`), 4, 0x81],
  ['Receive Maximum 0', frame(CONNECT, `${V5} 02 00 00 03 21 00 00 00 01 'a'`), 5, 0x82],
  ['Maximum Packet Size 0', frame(CONNECT, `${V5} 02 00 00 05 27 00 00 00 00 00 01 'a'`), 5, 0x82],
  ['Request Problem Information 2', frame(CONNECT, `${V5} 02 00 00 02 17 02 00 01 'a'`), 5, 0x82],
  [
    'a property given twice',
    frame(CONNECT, `${V5} 02 00 00 06 21 00 01 21 00 01 00 01 'a'`),
    5,
    0x82,
  ],
  ['a property of another packet', frame(CONNECT, `${V5} 02 00 00 03 23 00 01 00 01 'a'`), 5, 0x82],
  ['an unknown property', frame(CONNECT, `${V5} 02 00 00 03 7f 00 01 00 01 'a'`), 5, 0x81],
  ['properties beyond the packet', frame(CONNECT, `${V5} 02 00 00 40 21 00 01 00 01 'a'`), 5, 0x81],
  ['a property across their end', frame(CONNECT, `${V5} 02 00 00 02 21 00 01 00 01 'a'`), 5, 0x81],
  [
    '[MQTT-1.5.5-1] property length not minimal',
    frame(CONNECT, `${V5} 02 00 00 80 00 00 01 'a'`),
    5,
    0x81,
  ],
  [
    'Authentication Data without a method',
    frame(CONNECT, `${V5} 02 00 00 04 16 00 01 00 00 01 'a'`),
    5,
    0x82,
  ],
  [
    'Payload Format Indicator 2 of a Will',
    frame(CONNECT, `${V5} 06 00 00 00 00 01 'a' 02 01 02 00 01 't' 00 00`),
    5,
    0x82,
  ],
  [
    '[MQTT-3.3.2-14] Response Topic of a Will with a wildcard',
    frame(CONNECT, `${V5} 06 00 00 00 00 01 'a' 04 08 00 01 '+' 00 01 't' 00 00`),
    5,
    0x90,
  ],
  // SUBSCRIBE
  ['[MQTT-3.8.1-1] SUBSCRIBE flags', frame(0x80, "00 01 00 01 'a' 00"), 4, 0x81],
  ['[MQTT-2.2.1-3] Packet Identifier 0', frame(SUBSCRIBE, "00 00 00 01 'a' 00"), 4, 0x82],
  ['[MQTT-3.8.3-2] SUBSCRIBE without a filter', frame(SUBSCRIBE, '00 01'), 4, 0x82],
  ['[MQTT-3.8.3-2] the same in MQTT 5', frame(SUBSCRIBE, '00 01 00'), 5, 0x82],
  ['a filter without options', frame(SUBSCRIBE, "00 01 00 01 'a'"), 4, 0x81],
  ['Maximum QoS 3', frame(SUBSCRIBE, "00 01 00 01 'a' 03"), 4, 0x82],
  ['3.1.1: reserved option bits', frame(SUBSCRIBE, "00 01 00 01 'a' 04"), 4, 0x81],
  ['[MQTT-3.8.3-5] reserved option bits', frame(SUBSCRIBE, "00 01 00 00 01 'a' 40"), 5, 0x81],
  ['Retain Handling 3', frame(SUBSCRIBE, "00 01 00 00 01 'a' 30"), 5, 0x82],
  [
    '[MQTT-3.8.3-4] No Local on a Shared Subscription',
    frame(SUBSCRIBE, "00 01 00 00 0a '$share/g/a' 04"),
    5,
    0x82,
  ],
  ['Subscription Identifier 0', frame(SUBSCRIBE, "00 01 02 0b 00 00 01 'a' 00"), 5, 0x82],
  ['two Subscription Identifiers', frame(SUBSCRIBE, "00 01 04 0b 01 0b 02 00 01 'a' 00"), 5, 0x82],
  // UNSUBSCRIBE
  ['[MQTT-3.10.1-1] UNSUBSCRIBE flags', frame(0xa0, "00 01 00 01 'a'"), 4, 0x81],
  ['[MQTT-3.10.3-2] UNSUBSCRIBE without a filter', frame(UNSUBSCRIBE, '00 01'), 4, 0x82],
  ['Packet Identifier 0', frame(UNSUBSCRIBE, "00 00 00 01 'a'"), 4, 0x82],
  // DISCONNECT, AUTH, and what a client never sends
  ['3.1.1: DISCONNECT with a body', frame(DISCONNECT, '00'), 4, 0x81],
  ["a server's Reason Code in DISCONNECT", frame(DISCONNECT, '8e'), 5, 0x82],
  ['Server Reference in DISCONNECT', frame(DISCONNECT, "00 04 1c 00 01 'x'"), 5, 0x82],
  ['AUTH before MQTT 5', frame(AUTH, '18 00'), 4, 0x81],
  ['AUTH with Success', frame(AUTH, ''), 5, 0x82],
  ['AUTH without a method', frame(AUTH, '18 00'), 5, 0x82],
  ['CONNACK from a client', frame(0x20, '00 00'), 4, 0x82],
  ['Remaining Length beyond the frame', Buffer.from([CONNECT, 200, 1, 0]), 4, 0x81],
  ['an empty frame', Buffer.alloc(0), 4, 0x81],
];

function decodeConnect(body: string): Connect {
  const packet = decodeControl(frame(CONNECT, body), 4);
  assert.equal(packet.type, 'connect');
  return packet as Connect;
}

describe('decodeControl', () => {
  for (const [title, bad, version, reasonCode] of refusals) {
    it(`refuses ${title} with 0x${reasonCode.toString(16)}`, () => {
      assert.throws(
        () => decodeControl(bad, version),
        (error) => error instanceof MalformedPacket && error.reasonCode === reasonCode,
      );
    });
  }

  it('says in which version to refuse', () => {
    const versionOf = (bad: Buffer): number => {
      try {
        decodeControl(bad, 4);
      } catch (error) {
        return (error as MalformedPacket).protocolVersion;
      }
      return 0;
    };
    assert.equal(versionOf(frame(CONNECT, "00 04 'MQTT' 06 02 00 00")), 5);
    assert.equal(versionOf(frame(CONNECT, "00 04 'MQTT' 03 02 00 00")), 4);
    assert.equal(versionOf(frame(CONNECT, `${V5} 03 00 00`)), 5);
    assert.equal(versionOf(frame(CONNECT, `${V3} 02 00 00 00 00`)), 3);
  });

  it('decodes a CONNECT of MQTT 3.1', () => {
    assert.deepEqual(decodeConnect(`${V3} 02 00 0a 00 01 'a'`), {
      type: 'connect',
      protocolVersion: 3,
      cleanStart: true,
      clientId: 'a',
      keepAliveSeconds: 10,
      properties: {},
    });
  });

  it('decodes every field of a CONNECT of MQTT 5', () => {
    const packet: mqttPacket.IConnectPacket = {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: false,
      clientId: 'Ω',
      keepalive: 65_535,
      username: 'user',
      password: Buffer.from([0, 255]),
      will: {
        topic: 'will/ü',
        payload: Buffer.from([1, 2, 0]),
        qos: 2,
        retain: true,
        properties: {
          willDelayInterval: 4_000_000_000,
          payloadFormatIndicator: true,
          messageExpiryInterval: 7,
          contentType: 'text/plain',
          responseTopic: 'r',
          correlationData: Buffer.from([9]),
          userProperties: { w: '1' },
        },
      },
      properties: {
        sessionExpiryInterval: 0xffffffff,
        receiveMaximum: 1,
        maximumPacketSize: 1_000_000,
        topicAliasMaximum: 10,
        requestResponseInformation: true,
        requestProblemInformation: false,
        authenticationMethod: 'SCRAM',
        authenticationData: Buffer.from('x'),
        userProperties: { k: ['a', 'b'] },
      },
    };
    const bytesOut = mqttPacket.generate(packet);
    const decoded = decodeControl(bytesOut, 4);
    bytesOut.fill(0); // the decoded packet must not depend on the read buffer
    assert.deepEqual(decoded, {
      type: 'connect',
      protocolVersion: 5,
      cleanStart: false,
      clientId: 'Ω',
      keepAliveSeconds: 65_535,
      username: 'user',
      password: Uint8Array.of(0, 255),
      will: {
        topic: 'will/ü',
        payload: Uint8Array.of(1, 2, 0),
        qos: 2,
        retain: true,
        properties: {
          willDelayInterval: 4_000_000_000,
          payloadFormatIndicator: 1,
          messageExpiryInterval: 7,
          contentType: 'text/plain',
          responseTopic: 'r',
          correlationData: Uint8Array.of(9),
          userProperties: [['w', '1']],
        },
      },
      properties: {
        sessionExpiryInterval: 0xffffffff,
        receiveMaximum: 1,
        maximumPacketSize: 1_000_000,
        topicAliasMaximum: 10,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        authenticationMethod: 'SCRAM',
        authenticationData: Uint8Array.of(120),
        userProperties: [
          ['k', 'a'],
          ['k', 'b'],
        ],
      },
    });
  });

  it('takes a password without user name in MQTT 5', () => {
    const connect = decodeConnect(`${V5} 42 00 00 00 00 01 'a' 00 01 'p'`);
    assert.deepEqual(connect.password, Uint8Array.of(112));
    assert.equal(connect.username, undefined);
  });

  it('[MQTT-1.5.4-3] keeps a byte order mark', () => {
    assert.equal(decodeConnect(`${V4} 02 00 00 00 04 ef bb bf 'a'`).clientId, '\ufeffa');
  });

  it('[MQTT-3.3.2-18] keeps the order of User Properties', () => {
    const connect = decodeConnect(
      `${V5} 02 00 00 15 26 00 01 'b' 00 01 '1' 26 00 01 '7' 00 01 '2' 26 00 01 'b' 00 01 '3' 00 01 'a'`,
    );
    assert.deepEqual(connect.properties.userProperties, [
      ['b', '1'],
      ['7', '2'],
      ['b', '3'],
    ]);
  });

  it('decodes Subscription Options', () => {
    const packet = decodeControl(
      frame(SUBSCRIBE, "00 07 02 0b 05 00 03 'a/#' 2e 00 01 'b' 01"),
      5,
    ) as Subscribe;
    assert.deepEqual(packet, {
      type: 'subscribe',
      packetId: 7,
      subscriptionIdentifier: 5,
      subscriptions: [
        { filter: 'a/#', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        { filter: 'b', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
    });
  });

  it('[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] refuses Topic Filters that are not well-formed', () => {
    for (const filter of ["00 04 'a/#b'", '00 00', "00 02 'a#'", "00 02 'a+'", "00 03 '#/a'"]) {
      for (const version of [4, 5] as const) {
        const properties = version === 5 ? '00 ' : '';
        for (const bad of [
          frame(SUBSCRIBE, `00 07 ${properties}${filter} 00`),
          frame(UNSUBSCRIBE, `00 07 ${properties}${filter}`),
        ])
          assert.throws(() => decodeControl(bad, version), { reasonCode: 0x81 });
      }
    }
  });

  it('decodes UNSUBSCRIBE', () => {
    assert.deepEqual(decodeControl(frame(UNSUBSCRIBE, "00 01 00 01 'a' 00 01 'b'"), 4), {
      type: 'unsubscribe',
      packetId: 1,
      filters: ['a', 'b'],
    });
  });

  it('decodes DISCONNECT in its long and short forms', () => {
    const decode = (body: string, version: ProtocolVersion) =>
      decodeControl(frame(DISCONNECT, body), version);
    const normal = { type: 'disconnect', reasonCode: 0, properties: {} };
    assert.deepEqual(decode('', 4), normal);
    assert.deepEqual(decode('', 5), normal);
    assert.deepEqual(decode('04', 5), { ...normal, reasonCode: 4 });
    assert.deepEqual(decode('00 05 11 00 00 00 1e', 5), {
      ...normal,
      properties: { sessionExpiryInterval: 30 },
    });
  });

  it('decodes AUTH', () => {
    assert.deepEqual(decodeControl(frame(AUTH, "18 04 15 00 01 'm'"), 5), {
      type: 'auth',
      reasonCode: ReasonCode.ContinueAuthentication,
      properties: { authenticationMethod: 'm' },
    });
  });
});

/** What mqtt-packet reads from the bytes. */
function parsed(buf: Uint8Array, protocolVersion: ProtocolVersion): Record<string, unknown> {
  const parser = mqttPacket.parser({ protocolVersion });
  let packet: unknown;
  parser.on('packet', (p) => {
    packet = p;
  });
  parser.on('error', (error) => {
    throw error;
  });
  assert.equal(parser.parse(Buffer.from(buf)), 0);
  return { ...(packet as object) };
}

describe('encoders of control packets', () => {
  it('CONNACK of MQTT 5 carries its properties', () => {
    const properties = {
      receiveMaximum: 20,
      maximumQoS: 1 as const,
      retainAvailable: true,
      maximumPacketSize: 1000,
      assignedClientIdentifier: 'auto-1',
      serverKeepAlive: 30,
    };
    const buf = encodeConnack({ version: 5, sessionPresent: true, reasonCode: 0, properties });
    const packet = parsed(buf, 5);
    assert.equal(packet['sessionPresent'], true);
    assert.equal(packet['reasonCode'], 0);
    assert.deepEqual(packet['properties'], properties);
  });

  it('CONNACK before MQTT 5 has a return code, and [MQTT-3.2.2-6] no session with a refusal', () => {
    const refuse = (reasonCode: number) =>
      Buffer.from(encodeConnack({ version: 4, sessionPresent: true, reasonCode })).toString('hex');
    assert.equal(refuse(0), '20020100');
    assert.equal(refuse(ReasonCode.UnsupportedProtocolVersion), '20020001');
    assert.equal(refuse(ReasonCode.ClientIdentifierNotValid), '20020002');
    assert.equal(refuse(ReasonCode.ServerBusy), '20020003');
    assert.equal(refuse(ReasonCode.BadUserNameOrPassword), '20020004');
    assert.equal(refuse(ReasonCode.NotAuthorized), '20020005');
    assert.equal(refuse(ReasonCode.ProtocolError), '20020003');
  });

  it('SUBACK answers in order, with 0x80 for every refusal of 3.1.1', () => {
    const reasonCodes = [2, 0x8f, 0, 0x97];
    assert.deepEqual(
      parsed(encodeSuback({ version: 5, packetId: 513, reasonCodes }), 5)['granted'],
      reasonCodes,
    );
    const old = parsed(encodeSuback({ version: 4, packetId: 513, reasonCodes }), 4);
    assert.deepEqual(old['granted'], [2, 0x80, 0, 0x80]);
    assert.equal(old['messageId'], 513);
  });

  it('UNSUBACK has Reason Codes in MQTT 5 only', () => {
    const buf = encodeUnsuback({ version: 5, packetId: 9, reasonCodes: [0, 0x11] });
    assert.deepEqual(parsed(buf, 5)['granted'], [0, 0x11]);
    const old = encodeUnsuback({ version: 4, packetId: 9, reasonCodes: [0, 0x11] });
    assert.equal(Buffer.from(old).toString('hex'), 'b0020009');
  });

  it('DISCONNECT exists for MQTT 5 only', () => {
    const moved = encodeDisconnect({
      version: 5,
      reasonCode: ReasonCode.ServerMoved,
      properties: { serverReference: 'other:1883', userProperties: [['a', 'b']] },
    });
    const packet = parsed(moved, 5);
    assert.equal(packet['reasonCode'], 0x9d);
    assert.equal(
      (packet['properties'] as Record<string, unknown>)['serverReference'],
      'other:1883',
    );
    const plain = encodeDisconnect({ version: 5, reasonCode: ReasonCode.SessionTakenOver });
    assert.equal(parsed(plain, 5)['reasonCode'], 0x8e);
    assert.equal(encodeDisconnect({ version: 4, reasonCode: 0x8e }).length, 0);
  });
});
