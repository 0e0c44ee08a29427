/** What a node offers its clients: announced in CONNACK, and enforced. */
import assert from 'node:assert/strict';
import type { IConnackPacket, IConnectPacket, Packet } from 'mqtt-packet';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

type Mqtt = NonNullable<Settings['mqtt']>;

/** A node with settings of its own, and clients of it. */
function single(mqtt: Mqtt = {}, limits: Settings['limits'] = {}) {
  const nodes = new TestNodes();
  const core = nodes.add('n1', { mqtt, limits });
  const connect = (o: Partial<IConnectPacket> = {}, version: 4 | 5 = 5) => {
    const socket = nodes.accept(core, version);
    const protocolId = o.protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
    socket.send({
      cmd: 'connect',
      protocolId,
      protocolVersion: version,
      clean: true,
      keepalive: 0,
      clientId: 'c',
      ...o,
    });
    return socket;
  };
  return { nodes, core, connect };
}

const codesOf = (socket: TestSocket) =>
  socket
    .take()
    .map((p) => [
      p.cmd,
      'reasonCode' in p && p.reasonCode !== undefined ? p.reasonCode : undefined,
    ]);
const connackOf = (socket: TestSocket) => socket.take()[0] as IConnackPacket;
const subscribe = (socket: TestSocket, topic: string, properties = {}) =>
  socket.send({
    cmd: 'subscribe',
    messageId: 7,
    subscriptions: [{ topic, qos: 2, rh: 0 }],
    properties,
  } as Packet);
const grantedOf = (socket: TestSocket) =>
  socket.take().flatMap((p) => (p.cmd === 'suback' ? p.granted : []));
const will = (o: object) => ({
  topic: 'w',
  payload: Buffer.from('w'),
  qos: 0 as const,
  retain: false,
  ...o,
});

describe('server options', () => {
  it('are left out of CONNACK where their absence says the same', () => {
    const { connect } = single();
    assert.deepEqual(Object.keys(connackOf(connect()).properties ?? {}).sort(), [
      'maximumPacketSize',
      'receiveMaximum',
      'topicAliasMaximum',
    ]);
  });

  it('protocolVersions: others are refused with 0x84, before MQTT 5 with 0x01', () => {
    const { connect } = single({ protocolVersions: ['3.1.1'] });
    const five = connect();
    assert.deepEqual(codesOf(five), [['connack', 0x84]]);
    assert.ok(five.closed);
    const old = connect({ protocolVersion: 3 }, 4);
    assert.equal(connackOf(old).returnCode, 1);
    assert.ok(old.closed);
    assert.equal(connackOf(connect({}, 4)).returnCode, 0);
    const { connect: others } = single({ protocolVersions: ['3.1', 5] });
    assert.equal(connackOf(others({}, 4)).returnCode, 1);
    assert.equal(connackOf(others({ protocolVersion: 3 }, 4)).returnCode, 0);
    assert.equal(connackOf(others()).reasonCode, 0);
  });

  it('serverKeepAlive [MQTT-3.1.2-21] holds in place of a longer Keep Alive, and of none', () => {
    const { nodes, connect } = single({ serverKeepAlive: 10 });
    for (const [keepalive, told] of [
      [0, 10],
      [60, 10],
      [5, undefined],
    ]) {
      const socket = connect({ keepalive: keepalive! });
      assert.equal(connackOf(socket).properties?.serverKeepAlive, told);
      const pass = (seconds: number) => {
        for (let i = 0; i < seconds; i++) {
          nodes.advance(1000);
          socket.handler.onSecond(nodes.nowMs);
        }
      };
      pass(7);
      assert.equal(socket.closed, false);
      pass(9);
      assert.deepEqual(codesOf(socket), [['disconnect', 0x8d]]);
    }
    const old = connect({ keepalive: 0 }, 4);
    nodes.advance(20_000);
    old.handler.onSecond(nodes.nowMs);
    assert.equal(old.closed, false);
  });

  it('maximumQos: announced [MQTT-3.2.2-9], and a PUBLISH above ends the connection with 0x9B', () => {
    const { connect } = single({ maximumQos: 1 });
    const socket = connect();
    assert.equal(connackOf(socket).properties?.maximumQoS, 1);
    socket.publish('t', { qos: 1 });
    assert.deepEqual(codesOf(socket), [['puback', 0x10]]);
    assert.deepEqual(codesOf(socket.publish('t', { qos: 2 })), [['disconnect', 0x9b]]);
    assert.ok(socket.closed);
    const old = connect({}, 4);
    old.publish('t', { qos: 2 });
    assert.ok(old.closed);
  });

  it('[MQTT-3.2.2-10] maximumQos: a SUBSCRIBE above is granted at it', () => {
    const { connect } = single({ maximumQos: 1 });
    assert.deepEqual(grantedOf(subscribe(connect(), 't')), [1]);
    const { connect: zero } = single({ maximumQos: 0 });
    assert.equal(connackOf(zero()).properties?.maximumQoS, 0);
    assert.deepEqual(grantedOf(subscribe(zero({}, 4), 't')), [0]);
  });

  it('[MQTT-3.2.2-12] maximumQos: a Will above is refused with 0x9B', () => {
    const { connect } = single({ maximumQos: 1 });
    const socket = connect({ will: will({ qos: 2 }) });
    assert.deepEqual(codesOf(socket), [['connack', 0x9b]]);
    assert.ok(socket.closed);
    assert.equal(connackOf(connect({ will: will({ qos: 1 }) })).reasonCode, 0);
  });

  it('[MQTT-3.2.2-13] retainAvailable: a Will with RETAIN is refused with 0x9A', () => {
    const { connect } = single({ retainAvailable: false });
    const socket = connect({ will: will({ retain: true }) });
    assert.deepEqual(codesOf(socket), [['connack', 0x9a]]);
    assert.ok(socket.closed);
  });

  it('[MQTT-3.2.2-14] retainAvailable: a PUBLISH with RETAIN ends the connection with 0x9A', () => {
    const { connect } = single({ retainAvailable: false });
    const socket = connect();
    assert.equal(connackOf(socket).properties?.retainAvailable, false);
    assert.deepEqual(codesOf(socket.publish('t', { retain: true })), [['disconnect', 0x9a]]);
    const old = connect({}, 4);
    old.publish('t', { retain: true });
    assert.ok(old.closed);
  });

  it('[MQTT-3.8.3-2 of 3.1.1] wildcardSubscriptionAvailable: such a SUBSCRIBE ends the connection with 0xA2', () => {
    const { connect } = single({ wildcardSubscriptionAvailable: false });
    const socket = connect();
    assert.equal(connackOf(socket).properties?.wildcardSubscriptionAvailable, false);
    assert.deepEqual(grantedOf(subscribe(socket, 'a')), [2]);
    assert.deepEqual(codesOf(subscribe(socket, 'a/+')), [['disconnect', 0xa2]]);
    assert.deepEqual(grantedOf(subscribe(connect({}, 4), 'a/#')), [0x80]);
  });

  it('subscriptionIdentifiersAvailable: such a SUBSCRIBE ends the connection with 0xA1', () => {
    const { connect } = single({ subscriptionIdentifiersAvailable: false });
    const socket = connect();
    assert.equal(connackOf(socket).properties?.subscriptionIdentifiersAvailable, false);
    const refused = subscribe(socket, 'a', { subscriptionIdentifier: 3 });
    assert.deepEqual(codesOf(refused), [['disconnect', 0xa1]]);
  });

  it('sharedSubscriptionAvailable: such a SUBSCRIBE ends the connection with 0x9E', () => {
    const { connect } = single({ sharedSubscriptionAvailable: false });
    const socket = connect();
    assert.equal(connackOf(socket).properties?.sharedSubscriptionAvailable, false);
    assert.deepEqual(codesOf(subscribe(socket, '$share/g/a')), [['disconnect', 0x9e]]);
    assert.deepEqual(grantedOf(subscribe(connect({}, 4), '$share/g/a')), [0x80]);
  });

  it('[MQTT-3.1.2-28] responseInformation: only for a client that requests it', () => {
    const { connect } = single({ responseInformation: 'reply/{clientId}' });
    const told = (requestResponseInformation: boolean | undefined, clientId = 'c') =>
      connackOf(
        connect({
          clientId,
          properties:
            requestResponseInformation === undefined ? {} : { requestResponseInformation },
        }),
      ).properties?.responseInformation;
    assert.equal(told(true), 'reply/c');
    assert.equal(told(true, "$&'"), "reply/$&'");
    assert.equal(told(true, '#'), undefined);
    assert.equal(told(false), undefined);
    assert.equal(told(undefined), undefined);
  });

  it('[MQTT-3.2.2-16] assignedIdPrefix: assigned Client Identifiers begin so, and are all different', () => {
    const { connect } = single({ assignedIdPrefix: 'dev-' });
    const names = [1, 2, 3].map(
      () => connackOf(connect({ clientId: '' })).properties?.assignedClientIdentifier ?? '',
    );
    assert.equal(new Set(names).size, 3);
    for (const name of names) assert.match(name, /^dev-[0-9a-z]+$/);
  });

  it('checkPayloadFormat: a payload that is not UTF-8 as said is refused with 0x99', () => {
    const publish = (qos: 0 | 1 | 2, payload: Buffer, format = true): Packet => ({
      cmd: 'publish',
      topic: 't',
      payload,
      qos,
      retain: false,
      dup: false,
      messageId: qos + 1,
      properties: format ? { payloadFormatIndicator: true } : {},
    });
    const bad = Buffer.from([0x61, 0xff]);
    const { connect } = single({ checkPayloadFormat: true });
    const socket = connect();
    socket.take();
    socket
      .send(publish(1, bad))
      .send(publish(2, bad))
      .send(publish(1, Buffer.from('é')));
    socket.send(publish(1, bad, false));
    assert.deepEqual(codesOf(socket), [
      ['puback', 0x99],
      ['pubrec', 0x99],
      ['puback', 0x10],
      ['puback', 0x10],
    ]);
    assert.deepEqual(codesOf(socket.send(publish(0, bad))), [['disconnect', 0x99]]);
    const properties = { payloadFormatIndicator: true };
    const refused = connect({ will: will({ payload: bad, properties }) });
    assert.deepEqual(codesOf(refused), [['connack', 0x99]]);
    const unchecked = single().connect();
    unchecked.take();
    assert.deepEqual(codesOf(unchecked.send(publish(1, bad))), [['puback', 0x10]]);
  });

  const odd = ['\u0001', '\u001f', '\u007f', '\u009f', '\ufdd0', '\uffff', '\u{1fffe}'];
  const uses: Readonly<Record<string, (socket: TestSocket, text: string) => TestSocket>> = {
    'Topic Name': (socket, text) => socket.publish(`a${text}`, { qos: 1 }),
    'Topic Filter': (socket, text) => subscribe(socket, `a${text}`),
    'Response Topic': (socket, text) =>
      socket.publish('t', { qos: 1, properties: { responseTopic: `a${text}` } }),
    'User Property': (socket, text) =>
      socket.publish('t', { qos: 1, properties: { userProperties: { name: text } } }),
  };
  for (const [rule, refused] of [
    ['in-values', ['Topic Name', 'Topic Filter', 'Response Topic']],
    ['refuse', Object.keys(uses)],
    ['accept', []],
  ] as const) {
    it(`controlCharacters: ${rule}`, () => {
      const { connect } = single({ controlCharacters: rule });
      for (const [name, use] of Object.entries(uses)) {
        for (const text of odd) {
          const socket = connect();
          socket.take();
          const codes = codesOf(use(socket, text));
          const wanted = (refused as readonly string[]).includes(name);
          assert.equal(codes[0]?.[1] === 0x81, wanted, `${name} ${JSON.stringify(text)}`);
        }
        const plain = connect();
        plain.take();
        assert.notEqual(codesOf(use(plain, 'é\u{2a6d4}\ufeff'))[0]?.[0], 'disconnect');
      }
      const code = rule === 'refuse' ? 0x85 : 0;
      assert.deepEqual(codesOf(connect({ clientId: 'a\u0001' })), [['connack', code]]);
    });
  }

  it('are those of the listener where it offers less', () => {
    const { nodes, core } = single({ protocolVersions: ['3.1', '5'] });
    const rules = { maxPacketBytes: 2000, protocolVersions: [4, 5] };
    const socket = nodes.connect(core, {}, 'test:1', rules);
    assert.equal(connackOf(socket).properties?.maximumPacketSize, 2000);
    assert.equal(connackOf(nodes.connect(core, {})).properties?.maximumPacketSize, 1_114_112);
    const old = nodes.accept(core, 4, 'test:1', rules);
    old.send({ cmd: 'connect', protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'd' });
    assert.equal(connackOf(old).returnCode, 1);
    assert.equal(connackOf(nodes.connect(core, { clientId: 'e' }, 'test:1', rules)).reasonCode, 0);
  });

  it('are less by each option of a listener, announced and enforced', () => {
    const { nodes, core } = single({ serverKeepAlive: 300 });
    const rules = {
      publishesInFlight: 5,
      payloadBytes: 10,
      topicAliases: 3,
      sessionExpiryMaxSeconds: 60,
      subscriptionsPerSession: 2,
      topicLevels: 3,
      serverKeepAlive: 20,
      maximumQos: 1,
      retainAvailable: false,
      wildcardSubscriptionAvailable: false,
      sharedSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
    };
    const connect = (clientId: string, o: object = {}) =>
      nodes.connect(core, { clientId, ...o }, 'test:1', rules);
    const socket = connect('c', { properties: { sessionExpiryInterval: 1000 } });
    const { maximumPacketSize, ...told } = connackOf(socket).properties ?? {};
    assert.equal(maximumPacketSize, 1_114_112);
    assert.deepEqual(told, {
      receiveMaximum: 5,
      topicAliasMaximum: 3,
      sessionExpiryInterval: 60,
      serverKeepAlive: 20,
      maximumQoS: 1,
      retainAvailable: false,
      wildcardSubscriptionAvailable: false,
      sharedSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
    });
    socket.publish('t', { qos: 1, id: 1, payload: 'x'.repeat(11) });
    socket.publish('a/b/c/d', { qos: 1, id: 2 });
    assert.deepEqual(codesOf(socket), [
      ['puback', 0x97],
      ['puback', 0x90],
    ]);
    socket.subscribe(['a', 'b', 'c', 'a/b/c/d'], 2);
    nodes.advance(200);
    assert.deepEqual(grantedOf(socket), [1, 1, 0x97, 0x8f]);
    for (const [use, code] of [
      [(s: TestSocket) => s.subscribe(['a/+']), 0xa2],
      [(s: TestSocket) => s.subscribe(['$share/g/a']), 0x9e],
      [(s: TestSocket) => subscribe(s, 'a', { subscriptionIdentifier: 1 }), 0xa1],
      [(s: TestSocket) => s.publish('a', { qos: 2, id: 1 }), 0x9b],
      [(s: TestSocket) => s.publish('a', { retain: true }), 0x9a],
    ] as const) {
      const one = connect('d');
      one.take();
      use(one);
      assert.deepEqual(codesOf(one), [['disconnect', code]]);
    }
    const others = connackOf(nodes.connect(core, { clientId: 'e' })).properties;
    assert.deepEqual([others?.receiveMaximum, others?.serverKeepAlive], [1000, 300]);
  });

  it('give room for a payload of 1 MiB', () => {
    const { connect } = single();
    const socket = connect();
    socket.take();
    socket.publish('t/'.repeat(100), { qos: 1, payload: 'x'.repeat(1_048_576) });
    assert.deepEqual(codesOf(socket), [['puback', 0x10]]);
  });
});
