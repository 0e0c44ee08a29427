import assert from 'node:assert/strict';
import { generate, type Packet } from 'mqtt-packet';
import { DEFAULT_LIMITS } from '../../config-schema.ts';
import { DEFAULT_SERVER_SETTINGS } from '../../config-server-options.ts';
import { createCounters } from '../../counters.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { type Opened, Status } from '../link/request.ts';
import { Line, Work } from '../work.ts';
import { Connection } from './connection.ts';
import { Overdue } from './overdue.ts';
import type { ClientsOfNode } from './parts.ts';
import { serverOptions } from './server-options.ts';

const NAMES: Readonly<Record<number, string>> = {
  2: 'connack',
  9: 'suback',
  13: 'pingresp',
  14: 'disconnect',
};
const OPENED: Opened = {
  epoch: 9,
  birth: 9,
  present: false,
  subscriptions: [],
  first: 0,
  sentBelow: 0,
};

/** A connection whose OPEN the test answers. */
function setUp() {
  const out: string[] = [];
  const time = { nowMs: 0 };
  const opens: ((status: number, opened: Opened | null) => void)[] = [];
  const work = new Work(() => {});
  const ignore = () => {};
  const port = {
    limits: { ...DEFAULT_LIMITS },
    timings: { connectTimeoutMs: 1000, willNodeGraceMs: 0, slowReaderMs: 1000 },
    counters: createCounters(),
    env: { nowMs: () => time.nowMs, wallMs: () => 0, random: () => 0.5, log: ignore },
    calm: { stir() {} },
    clock: { next: () => 1 },
    work,
    ready: true,
    draining: { leaving: false, serverReference: () => '' },
    live: { add: ignore, remove: ignore, batch: (run: () => void) => run() },
    liveBarrier: (done: () => void) => done(),
  };
  const log = { refused: ignore, connected: ignore, lost: ignore, failed: ignore };
  const clients = {
    port,
    log: { ...log, disconnected: ignore },
    line: new Line(work),
    overdue: new Overdue(),
    crowded: new Set(),
    slow: new Set(),
    opened: () => out.push('opened'),
    gone: () => out.push('gone'),
    ending: ignore,
    noteCredentials: ignore,
    sessions: {
      open: (_id: number, _request: unknown, done: (status: number, o: Opened | null) => void) =>
        opens.push(done),
      close: (
        _clientId: string,
        epoch: number,
        how: { abnormal: boolean; expirySeconds: number },
      ) => out.push(`close ${epoch} ${how.abnormal ? 'abnormal' : 'normal'} ${how.expirySeconds}`),
      subscribe: (_c: string, _epoch: number, _s: unknown, done: (ok: boolean) => void) =>
        done(true),
    },
  };
  const socket = {
    pendingBytes: 0,
    remote: '',
    // CONNACK and DISCONNECT with their Reason Code.
    write(bytes: Uint8Array) {
      const name = NAMES[bytes[0]! >> 4] ?? `packet ${bytes[0]! >> 4}`;
      const at = name === 'connack' ? 3 : name === 'disconnect' ? 2 : -1;
      out.push(at < 0 ? name : `${name} ${bytes[at] ?? 0}`);
    },
    close: () => out.push('closed'),
    pause: ignore,
    resume: ignore,
    awaitDrain: ignore,
  };
  const connection = new Connection(
    clients as unknown as ClientsOfNode,
    socket,
    1,
    serverOptions(DEFAULT_SERVER_SETTINGS, DEFAULT_LIMITS),
  );
  const send = (...packets: Packet[]) => {
    const bytes = Buffer.concat(packets.map((p) => generate(p, { protocolVersion: 5 })));
    connection.onData(bytes, 0, bytes.length);
  };
  const said = () => out.splice(0);
  const connect = (how: Partial<Packet & { cmd: 'connect' }> = {}) =>
    ({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clientId: 'c',
      clean: false,
      keepalive: 10,
      properties: { sessionExpiryInterval: 60 },
      ...how,
    }) as Packet;
  const open = (how: Parameters<typeof connect>[0] = {}) => {
    send(connect(how));
    opens.shift()!(Status.Ok, OPENED);
    assert.deepEqual(said(), ['opened', 'connack 0']);
  };
  return { connection, send, said, connect, open, opens, time, port };
}

const PING: Packet = { cmd: 'pingreq' };
const SUBSCRIBE: Packet = {
  cmd: 'subscribe',
  messageId: 1,
  subscriptions: [{ topic: 'a', qos: 1, rh: 2 }],
};

describe('CONNECT of a connection', () => {
  it('must come first, and once [MQTT-3.1.0-1, 3.1.0-2]', () => {
    const other = setUp();
    other.send(PING);
    assert.deepEqual(other.said(), ['gone', 'closed']);
    const { send, said, connect, open } = setUp();
    open();
    send(connect());
    const end = `disconnect ${ReasonCode.ProtocolError}`;
    assert.deepEqual(said(), [end, 'gone', 'close 9 abnormal -1', 'closed']);
  });

  it('must come in time', () => {
    const { connection, said } = setUp();
    connection.onSecond(1000);
    assert.deepEqual(said(), []);
    connection.onSecond(1001);
    assert.deepEqual(said(), ['gone', 'closed']);
  });

  it('is answered before what came right behind it', () => {
    const { send, said, connect, opens } = setUp();
    send(connect(), SUBSCRIBE, PING);
    assert.deepEqual(said(), []);
    opens[0]!(Status.Ok, OPENED);
    assert.deepEqual(said(), ['opened', 'connack 0', 'suback', 'pingresp']);
  });

  it('is refused where no leader opens the session', () => {
    const { send, said, connect, opens } = setUp();
    send(connect());
    opens[0]!(Status.NotLeader, null);
    assert.deepEqual(said(), [`connack ${ReasonCode.ServerUnavailable}`, 'gone', 'closed']);
  });

  it('is accepted and taken over where a newer connection came first', () => {
    const { send, said, connect, opens } = setUp();
    send(connect());
    opens[0]!(Status.TakenOver, OPENED);
    const end = `disconnect ${ReasonCode.SessionTakenOver}`;
    assert.deepEqual(said(), ['connack 0', end, 'gone', 'closed']);
  });

  it('with a Will is not accepted where a newer connection came first', () => {
    const { send, said, connect, opens } = setUp();
    send(connect({ will: { topic: 'w', payload: Buffer.from('x'), qos: 0, retain: false } }));
    opens[0]!(Status.TakenOver, OPENED);
    assert.deepEqual(said(), [`connack ${ReasonCode.ServerUnavailable}`, 'gone', 'closed']);
  });

  it('of a connection that the server closed meanwhile leaves no session open, and no Will', () => {
    const { connection, send, said, connect, opens } = setUp();
    send(connect());
    connection.shutdown(ReasonCode.ServerShuttingDown);
    assert.deepEqual(said(), ['gone', 'closed']);
    opens[0]!(Status.Ok, OPENED);
    assert.deepEqual(said(), ['close 9 normal -1']);
  });

  it('is closed if the client takes no CONNACK so large [MQTT-3.1.2-24]', () => {
    const { send, said, connect, opens } = setUp();
    send(connect({ properties: { maximumPacketSize: 4 } }));
    opens[0]!(Status.Ok, OPENED);
    assert.deepEqual(said(), ['opened', 'gone', 'close 9 normal -1', 'closed']);
  });
});

describe('the end of a connection', () => {
  it('is normal after DISCONNECT 0x00 alone [MQTT-3.14.4-3]', () => {
    for (const [reasonCode, how] of [
      [0, 'normal'],
      [4, 'abnormal'],
    ] as const) {
      const { send, said, open } = setUp();
      open();
      send({ cmd: 'disconnect', reasonCode });
      assert.deepEqual(said(), ['gone', `close 9 ${how} -1`, 'closed']);
    }
  });

  it('takes the Session Expiry Interval of DISCONNECT, which does not raise 0', () => {
    const { send, said, open } = setUp();
    open();
    send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
    assert.deepEqual(said(), ['gone', 'close 9 normal 5', 'closed']);
    const none = setUp();
    none.open({ properties: { sessionExpiryInterval: 0 } });
    none.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
    const end = `disconnect ${ReasonCode.ProtocolError}`;
    assert.deepEqual(none.said(), [end, 'gone', 'close 9 abnormal -1', 'closed']);
  });

  it('is abnormal when the socket is lost, and told once', () => {
    const { connection, said, open } = setUp();
    open();
    connection.onClosed();
    connection.onClosed();
    assert.deepEqual(said(), ['gone', 'close 9 abnormal -1']);
  });

  it('comes after one and a half times Keep Alive without a whole packet [MQTT-3.1.2-22]', () => {
    const { connection, send, said, open, time } = setUp();
    open();
    time.nowMs = 10_000;
    send(PING);
    said();
    time.nowMs = 20_000;
    connection.onData(Uint8Array.of(0xc0), 0, 1);
    connection.onSecond(25_000);
    assert.deepEqual(said(), []);
    connection.onSecond(25_001);
    const end = `disconnect ${ReasonCode.KeepAliveTimeout}`;
    assert.deepEqual(said(), [end, 'gone', 'close 9 abnormal -1', 'closed']);
  });

  it('sends no CLOSE when another connection has the session', () => {
    const { connection, send, said, open } = setUp();
    open();
    connection.fenced();
    connection.fenced();
    send(PING);
    const end = `disconnect ${ReasonCode.SessionTakenOver}`;
    assert.deepEqual(said(), [end, 'gone', 'closed']);
  });
});
