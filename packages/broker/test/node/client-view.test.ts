/** What a node says of its connections to people who ask. */
import assert from 'node:assert/strict';
import type { ClientAnswer, ClientsAnswer } from '../../src/node/ask/question.ts';
import { LAST_ERRORS_MAX, LastErrors } from '../../src/node/client/last-errors.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { TestNodes } from './nodes.ts';

describe('the view of clients', () => {
  let nodes: TestNodes;
  let one: NodeCore;
  let two: NodeCore;
  beforeEach(() => {
    nodes = new TestNodes();
    one = nodes.add('n1');
    two = nodes.add('n2');
    nodes.advance(3000);
  });

  const connect = (core: NodeCore, clientId: string, more = {}) => {
    const rules = { name: `listener of ${core.name}` };
    const socket = nodes.connect(core, { clientId, keepalive: 30, ...more }, '192.0.2.1:5', rules);
    nodes.advance(200);
    return socket;
  };
  /** Asked by the first node. */
  const list = (node: string, after = '', limit = 100): ClientsAnswer => {
    let answer: ClientsAnswer | undefined;
    one.asking.ask(node, { type: 'clients', after, limit }, (a) => {
      answer = a;
    });
    nodes.advance(100);
    return answer!;
  };
  const show = (node: string, clientId: string): ClientAnswer => {
    let answer: ClientAnswer | undefined;
    one.asking.ask(node, { type: 'client', clientId }, (a) => {
      answer = a;
    });
    nodes.advance(100);
    return answer!;
  };

  it('lists those that have CONNACK, by Client Identifier, page by page, also of another node', () => {
    for (const clientId of ['c', 'a', 'd', 'b']) connect(two, clientId);
    connect(one, 'elsewhere');
    nodes.accept(two);
    const first = list('n2', '', 3);
    assert.deepEqual(
      first.clients.map(({ clientId }) => clientId),
      ['a', 'b', 'c'],
    );
    assert.equal(first.complete, false);
    const rest = list('n2', 'c', 3);
    assert.deepEqual(
      rest.clients.map(({ clientId, listener }) => [clientId, listener]),
      [['d', 'listener of n2']],
    );
    assert.equal(rest.complete, true);
  });

  it('counts packets and bytes both ways, and what is under way', () => {
    const socket = connect(one, 'c');
    socket.subscribe(['t'], 1);
    const publisher = connect(two, 'p');
    for (let id = 1; id <= 3; id++) publisher.publish('t', { qos: 1, id, payload: 'x' });
    nodes.advance(500);
    const [shown] = list('n1').clients;
    assert.equal(shown?.packetsReceived, 2, 'CONNECT, SUBSCRIBE');
    assert.equal(shown.packetsSent, 5, 'CONNACK, SUBACK, three PUBLISH');
    assert.equal(shown.inflightMessages, 3);
    assert.equal(shown.subscriptions, 1);
    assert.deepEqual(
      [shown.remote, shown.protocolVersion, shown.keepAliveSeconds],
      ['192.0.2.1:5', 5, 30],
    );
    assert.ok(shown.connectedMs > 0);
    assert.ok(shown.bytesReceived > 20 && shown.bytesSent > 30);
    const [sender] = list('n2').clients;
    assert.equal(sender?.packetsReceived, 4, 'CONNECT, three PUBLISH');
    assert.equal(sender.packetsSent, 4, 'CONNACK, three PUBACK');
  });

  it('counts a large message once, though its payload is written apart', () => {
    const socket = connect(one, 'c');
    socket.subscribe(['t'], 0);
    const before = show('n1', 'c').client!.packetsSent;
    connect(one, 'p').publish('t', { payload: 'x'.repeat(100_000) });
    nodes.advance(200);
    const { packetsSent, bytesSent } = show('n1', 'c').client!;
    assert.equal(packetsSent, before + 1);
    assert.ok(bytesSent > 100_000);
  });

  it('shows one client, and nothing of its credentials or messages', () => {
    const secrets = { username: 'user-secret', password: Buffer.from('pass-secret') };
    const will = {
      topic: 'w',
      payload: Buffer.from('will-secret'),
      qos: 0,
      retain: false,
    } as const;
    connect(two, 'c', { ...secrets, will, properties: { receiveMaximum: 7 } });
    const answer = show('n2', 'c');
    assert.equal(answer.client?.receiveMaximum, 7);
    assert.equal(answer.client.persistent, false);
    assert.equal(answer.client.certificate, null);
    assert.doesNotMatch(JSON.stringify(answer), /secret/);
    assert.deepEqual(show('n1', 'c'), { client: null, lastError: null });
  });

  it('says what was refused last, and what ended the last connection', () => {
    const socket = connect(one, 'c');
    assert.equal(show('n1', 'c').client?.lastError, null);
    socket.publish('$SYS/x', { qos: 1, id: 1 });
    const refused = show('n1', 'c').client?.lastError;
    assert.equal(refused?.reason, 'Not authorized');
    socket.subscribe(['a/'.repeat(250)]);
    assert.equal(show('n1', 'c').client?.lastError?.reason, 'Topic filter invalid');
    socket.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'c' });
    const ended = show('n1', 'c');
    assert.equal(ended.client, null);
    assert.deepEqual(
      [ended.lastError?.reason, ended.lastError?.why],
      ['Protocol error', 'second CONNECT'],
    );
    connect(one, 'c');
    assert.equal(show('n1', 'c').client?.lastError?.why, 'second CONNECT');
  });

  it('remembers so many clients, the latest, and none with a long name', () => {
    const errors = new LastErrors();
    const error = { atMs: 1, reason: 'r', why: 'w' };
    for (let i = 0; i < LAST_ERRORS_MAX; i++) errors.add(`c${i}`, error);
    errors.add('c0', { ...error, why: 'again' });
    errors.add('new', error);
    errors.add('x'.repeat(300), error);
    errors.add('', error);
    assert.equal(errors.get('c1'), null, 'the oldest is forgotten');
    assert.equal(errors.get('c0')?.why, 'again');
    assert.equal(errors.get('new'), error);
    assert.equal(errors.get('x'.repeat(300)), null);
    assert.equal(errors.get(''), null);
  });
});
