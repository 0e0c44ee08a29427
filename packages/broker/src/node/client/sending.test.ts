import assert from 'node:assert/strict';
import { MESSAGE as SAMPLE } from '../../../test/samples.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Message } from '../../session/message.ts';
import { packetIdOf } from '../../session/session.ts';
import type { Delivery } from '../link/delivery-codec.ts';
import type { Client } from './parts.ts';
import { onPubrec, onSettled, pump, sendOrWait, sendPubrel, sendQueued } from './sending.ts';

const WALL_MS = 1_000_000;
const MESSAGE: Message = { ...SAMPLE, qos: 2 };

/** A packet as its name and what follows: PUBLISH with its Packet Identifier and DUP, others with theirs. */
function said(frame: Uint8Array): string {
  const bytes = Buffer.from(frame);
  const type = bytes[0]! >> 4;
  if (type === 3) {
    const topic = bytes.readUInt16BE(2);
    return `publish ${bytes.readUInt16BE(4 + topic)}${bytes[0]! & 8 ? ' dup' : ''}`;
  }
  const name = { 6: 'pubrel' }[type] ?? `packet ${type}`;
  return `${name} ${bytes.readUInt16BE(2)}${bytes.length > 4 ? ` 0x${bytes[4]!.toString(16)}` : ''}`;
}

/** A client with a window of two messages, whose acknowledgements are answered by the test. */
function setUp(version: 4 | 5 = 5) {
  const out: string[] = [];
  const settled: string[] = [];
  const answers: ((ok: boolean) => void)[] = [];
  const socket = {
    pendingBytes: 0,
    awaited: 0,
    remote: '',
    awaitDrain() {
      this.awaited++;
    },
    pause() {},
    resume() {},
  };
  const limits = {
    inflightMessages: 2,
    liveQueueMessages: 2,
    liveQueueBytes: 1_000_000,
    nodeBufferBytes: 1_000_000,
    connectionBufferBytes: 1000,
    publishesInFlight: 10,
    publishBytesInFlight: 1000,
  };
  const c = {
    clientId: 'c',
    epoch: 7,
    version,
    isOpen: true,
    receiveMaximum: 2,
    rights: null,
    maximumPacketSize: 0,
    out: null,
    retained: null,
    socket,
    unread: 0,
    answerBytes: 0,
    unacknowledged: 0,
    unacknowledgedBytes: 0,
    port: {
      counters: { clientBytes: 0, messagesDropped: 0, messagesDelivered: [0, 0, 0] },
      limits,
      env: { wallMs: () => WALL_MS },
    },
    clients: {
      slow: new Set(),
      crowded: new Set(),
      sessions: {
        settle(
          _clientId: string,
          _epoch: number,
          kind: string,
          position: number,
          done: ((ok: boolean) => void) | null,
        ) {
          settled.push(`${kind} ${position}`);
          if (done) answers.push(done);
        },
      },
    },
    write: (frame: Uint8Array) => out.push(said(frame)),
    fail: (reasonCode: number, why: string) => out.push(`fail ${reasonCode} ${why}`),
  };
  return { c: c as unknown as Client, out, settled, answers, socket };
}

function delivery(position: number, how: Partial<Delivery> = {}): Delivery {
  return {
    to: { node: 'n1', bootEpoch: 1, connection: 1 },
    position,
    qos: 2,
    dup: false,
    retain: false,
    copy: false,
    identifiers: [],
    message: MESSAGE,
    ...how,
  };
}

describe('the queue of a session, on its way to the client', () => {
  it('goes under the Packet Identifiers of its positions, within Receive Maximum [MQTT-3.3.4-9]', () => {
    const { c, out } = setUp();
    for (const position of [0, 1, 2]) sendQueued(c, delivery(position));
    assert.deepEqual(out, [`publish ${packetIdOf(0)}`, `publish ${packetIdOf(1)}`]);
    assert.equal(c.out!.sentUpto, 2);
  });

  it('brings nothing twice to one connection, though a new leader sends it again', () => {
    const { c, out } = setUp();
    sendQueued(c, delivery(0));
    sendQueued(c, delivery(0, { dup: true }));
    assert.deepEqual(out, ['publish 1']);
  });

  it('sends PUBREL once the copies know of the PUBREC, and not before', () => {
    const { c, out, settled, answers } = setUp();
    sendQueued(c, delivery(0));
    onPubrec(c, 1, 0);
    onPubrec(c, 1, 0);
    assert.deepEqual([out, settled], [['publish 1'], ['pubrec 0']]);
    answers[0]!(true);
    assert.deepEqual(out, ['publish 1', 'pubrel 1']);
    onSettled(c, 1, 2);
    assert.deepEqual(settled, ['pubrec 0', 'pubcomp 0']);
  });

  it('sends no PUBREL for a PUBREC that another connection has overtaken', () => {
    const { c, out, answers } = setUp();
    sendQueued(c, delivery(0));
    onPubrec(c, 1, 0);
    answers[0]!(false);
    assert.deepEqual(out, ['publish 1']);
  });

  it('takes a PUBREC that refuses as the end of the exchange [MQTT-4.4.0-2]', () => {
    const { c, out, settled } = setUp();
    for (const position of [0, 1, 2]) sendQueued(c, delivery(position));
    onPubrec(c, 1, ReasonCode.QuotaExceeded);
    assert.deepEqual(settled, ['puback 0']);
    assert.deepEqual(out, ['publish 1', 'publish 2', 'publish 3']);
  });

  it('goes on with PUBREL, without the PUBLISH, where an earlier connection had PUBREC [MQTT-4.3.3-6]', () => {
    const { c, out, settled } = setUp();
    sendPubrel(c, 4);
    sendPubrel(c, 4);
    sendQueued(c, delivery(4));
    onSettled(c, 5, 2);
    assert.deepEqual([out, settled], [['pubrel 5'], ['pubcomp 4']]);
  });

  it('does not send what has expired, unless it was sent before [MQTT-3.3.2-5, 4.3.3-7]', () => {
    const { c, out, settled } = setUp();
    const message = { ...MESSAGE, expiresAtMs: WALL_MS };
    sendQueued(c, delivery(0, { message }));
    sendQueued(c, delivery(1, { message, dup: true }));
    assert.deepEqual([out, settled], [['publish 2 dup'], ['puback 0']]);
  });

  it('drops a packet that is larger than the client takes [MQTT-3.1.2-25]', () => {
    const { c, out, settled } = setUp();
    Object.assign(c, { maximumPacketSize: 5 });
    sendQueued(c, delivery(0));
    assert.deepEqual([out, settled], [[], ['puback 0']]);
  });
});

describe('acknowledgements of a client that are out of turn', () => {
  it('end the connection: PUBCOMP before PUBREC, PUBACK of QoS 2, PUBREC of QoS 1', () => {
    const { c, out } = setUp();
    sendQueued(c, delivery(0));
    sendQueued(c, delivery(1, { qos: 1 }));
    out.length = 0;
    onSettled(c, 1, 2);
    onSettled(c, 1, 1);
    onPubrec(c, 2, 0);
    const code = ReasonCode.ProtocolError;
    assert.deepEqual(out, [
      `fail ${code} PUBCOMP out of turn`,
      `fail ${code} PUBACK out of turn`,
      `fail ${code} PUBREC for a QoS 1 message`,
    ]);
  });

  it('of an unknown Packet Identifier: PUBREL says so to MQTT 5, and plainly to 3.1.1', () => {
    for (const [version, packet] of [
      [5, 'pubrel 9 0x92'],
      [4, 'pubrel 9'],
    ] as const) {
      const { c, out } = setUp(version);
      onSettled(c, 9, 1);
      onPubrec(c, 9, 0);
      onPubrec(c, 9, ReasonCode.QuotaExceeded);
      assert.deepEqual(out, [packet], `version ${version}`);
    }
  });
});

describe('live messages of QoS 1 and 2', () => {
  it('wait for the window, and above the mark their publishers wait with them', () => {
    const { c, out } = setUp();
    const sent = [1, 2, 3, 4, 5].map(() => sendOrWait(c, MESSAGE, 1, false, []));
    assert.deepEqual(out, ['publish 1', 'publish 2']);
    assert.deepEqual(sent, [true, true, true, true, false]);
    assert.ok(c.clients.slow.has(c));
    onSettled(c, 1, 1);
    onSettled(c, 2, 1);
    assert.deepEqual(out.slice(2), ['publish 3', 'publish 4']);
    assert.equal(c.out!.full, false);
  });

  it('wait for the socket, whose drain goes on with them', () => {
    const { c, out, socket } = setUp();
    socket.pendingBytes = 1001;
    sendOrWait(c, MESSAGE, 1, false, []);
    assert.deepEqual([out, socket.awaited], [[], 1]);
    socket.pendingBytes = 0;
    pump(c);
    assert.deepEqual(out, ['publish 1']);
    assert.equal(c.port.counters.clientBytes, 0);
  });

  it('that expire while they wait are not sent', () => {
    const { c, out, socket } = setUp();
    socket.pendingBytes = 1001;
    sendOrWait(c, { ...MESSAGE, expiresAtMs: WALL_MS }, 1, false, []);
    socket.pendingBytes = 0;
    pump(c);
    assert.deepEqual(out, []);
  });
});
