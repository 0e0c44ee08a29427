/** Users, roles and bans in a cluster: what one node is told, all nodes do. */
import assert from 'node:assert/strict';
import type { RecordKind } from '../../src/access/records.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

type Rule = { allow: boolean; action: string; topic: string };
const allow = (action: string, topic: string): Rule => ({ allow: true, action, topic });

function cluster(settings: Settings = { authRequired: true }) {
  const nodes = new TestNodes();
  const add = (name: string) => nodes.add(name, { replicas: 3, ...settings });
  const [n1, n2, n3] = ['n1', 'n2', 'n3'].map(add) as [NodeCore, NodeCore, NodeCore];
  nodes.advance(4000);
  const change = (core: NodeCore, kind: RecordKind, key: string, record: object | null) => {
    const outcomes: (string | undefined)[] = [];
    core.clients.access!.change(kind, key, record, (problem) => outcomes.push(problem));
    nodes.advance(100);
    assert.equal(outcomes.length, 1, 'no outcome');
    return outcomes[0];
  };
  const user = (core: NodeCore, name: string, rules: Rule[], password = `pw-${name}`) =>
    change(core, 'user', name, { name, password: `$argon2id$${password}`, rules });
  const come = (core: NodeCore, name: string, more: object = {}): TestSocket => {
    const credentials = { username: name, password: Buffer.from(`pw-${name}`) };
    const socket = nodes.connect(core, { clientId: `c-${name}`, ...credentials, ...more });
    nodes.advance(100);
    return socket;
  };
  return { nodes, n1, n2, n3, add, change, user, come };
}

/** Reason Code of the CONNACK, and nothing else came. */
function connack(socket: TestSocket): number | undefined {
  const [first] = socket.take();
  assert.equal(first?.cmd, 'connack');
  return first.cmd === 'connack' ? first.reasonCode : undefined;
}

const topics = (socket: TestSocket) =>
  socket.take().flatMap((p) => (p.cmd === 'publish' ? [p.topic] : []));

describe('users of a cluster', () => {
  it('are known on every node when the change is done, and after a restart of all', () => {
    const { nodes, n1, n3, user, come } = cluster();
    assert.equal(connack(nodes.connect(n3, { clientId: 'nameless' })), 0x87);
    assert.equal(connack(come(n3, 'ann')), 0x86);
    assert.equal(user(n1, 'ann', [allow('all', '#')]), undefined);
    assert.equal(connack(come(n3, 'ann')), 0);
    assert.equal(connack(come(n3, 'ann', { password: Buffer.from('x') })), 0x86);
    assert.deepEqual(nodes.errors, []);
  });

  it('are known at every node once one has verified them, but not with another password', () => {
    const { nodes, n1, n2, n3, user, come } = cluster();
    const looks = () => ['n1', 'n2', 'n3'].map((name) => nodes.passwords.get(name)!.looked);
    const keys = new Set(
      [...nodes.passwords.values()].map(({ key }) => Buffer.from(key).toString('hex')),
    );
    assert.equal(keys.size, 1);
    user(n1, 'ann', [allow('all', '#')]);
    assert.equal(connack(come(n1, 'ann')), 0);
    nodes.advance(200);
    for (const core of [n2, n3]) assert.equal(connack(come(core, 'ann')), 0);
    assert.deepEqual(looks(), [1, 0, 0]);
    assert.equal(connack(come(n2, 'ann', { password: Buffer.from('guess') })), 0x86);
    user(n1, 'ann', [allow('all', '#')], 'new');
    assert.equal(connack(come(n3, 'ann')), 0x86);
    assert.deepEqual(looks(), [1, 1, 1]);
  });

  it('are read by a node that joins later, before it serves', () => {
    const { nodes, n1, add, user, come } = cluster();
    user(n1, 'ann', [allow('all', '#')]);
    const n4 = add('n4');
    nodes.onAdvance = () => assert.ok(!n4.ready || n4.gate!.loaded);
    nodes.advance(4000);
    assert.equal(connack(come(n4, 'ann')), 0);
  });

  it('may only do what a rule allows: publish, subscribe, Will, and nothing of the cluster’s own', () => {
    const { nodes, n1, n2, user, come } = cluster();
    user(n1, 'ann', [allow('publish', 'up/%u'), allow('subscribe', 'down/#')]);
    user(n1, 'root', [allow('all', '#'), allow('all', '$shoal/#')]);
    const will = (topic: string) => ({
      will: { topic, payload: Buffer.from('w'), qos: 0, retain: false },
    });
    assert.equal(connack(come(n2, 'ann', will('elsewhere'))), 0x87);
    const ann = come(n2, 'ann', will('up/ann'));
    assert.equal(connack(ann), 0);
    const root = come(n1, 'root');
    assert.equal(connack(root), 0);
    root.subscribe(['#'], 0);
    nodes.advance(100);
    root.take();
    ann.publish('up/ann', { qos: 1, id: 1 });
    ann.publish('up/other', { qos: 1, id: 2 });
    ann.publish('up/other', { qos: 0 });
    nodes.advance(100);
    const codes = ann.take().flatMap((p) => (p.cmd === 'puback' ? [p.reasonCode] : []));
    assert.deepEqual(codes, [0, 0x87]);
    assert.deepEqual(topics(root), ['up/ann']);
    for (const [filter, granted] of [
      ['down/a', 0],
      ['#', 0x87],
      ['$share/g/down/+', 0],
      ['$share/g/up/+', 0x87],
    ] as const) {
      ann.subscribe([filter], 0);
      nodes.advance(100);
      const [suback] = ann.take();
      assert.deepEqual(suback?.cmd === 'suback' && suback.granted, [granted], filter);
    }
    for (const filter of ['$shoal/access/#', '$shoal/#', '$share/g/$shoal/access/+/+']) {
      root.subscribe([filter], 0);
      nodes.advance(100);
      const [suback] = root.take();
      assert.deepEqual(suback?.cmd === 'suback' && suback.granted, [0x87], filter);
    }
    root.publish('$shoal/access/user/eve', { qos: 1, retain: true, id: 7 });
    nodes.advance(100);
    const [puback] = root.take();
    assert.equal(puback?.cmd === 'puback' && puback.reasonCode, 0x87);
  });

  it('lose what is taken from them at once, whatever is queued or retained (CVE-2018-12546, CVE-2021-34434)', () => {
    const { nodes, n1, n2, n3, user, come } = cluster();
    user(n1, 'ann', [allow('subscribe', 'a/#')]);
    user(n1, 'root', [allow('all', '#')]);
    const stored = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const ann = come(n2, 'ann', stored);
    ann.subscribe(['a/#'], 1);
    nodes.advance(100);
    const root = come(n1, 'root');
    root.publish('a/1', { qos: 1, id: 1 });
    nodes.advance(100);
    ann.take().forEach((p) => {
      if (p.cmd === 'publish') ann.send({ cmd: 'puback', messageId: p.messageId! });
    });
    ann.send({ cmd: 'disconnect' });
    nodes.advance(100);
    root.publish('a/queued', { qos: 1, id: 2 });
    root.publish('a/kept', { qos: 1, id: 3, retain: true });
    nodes.advance(100);
    user(n3, 'ann', [allow('subscribe', 'b')]);
    const again = come(n3, 'ann', stored);
    root.publish('a/2', { qos: 1, id: 4 });
    root.publish('b', { qos: 1, id: 5 });
    again.subscribe(['b'], 1);
    nodes.advance(200);
    root.publish('b', { qos: 1, id: 6 });
    nodes.advance(200);
    assert.deepEqual(topics(again), ['b']);
    assert.equal(n3.counters.deliveriesDenied, 3);
    // It is not owed what it may not have.
    user(n3, 'ann', [allow('subscribe', '#')]);
    const later = come(n1, 'ann', stored);
    nodes.advance(200);
    assert.deepEqual(topics(later), ['b']);
  });

  it('are sent away when they are removed, banned, disabled, or have another password', () => {
    const { nodes, n1, n2, n3, change, user, come } = cluster();
    const sentAway = (socket: TestSocket) => {
      const last = socket.take().at(-1);
      return socket.closed && last?.cmd === 'disconnect' ? last.reasonCode : undefined;
    };
    const whole = [allow('all', '#')];
    user(n1, 'ann', whole);
    user(n1, 'bob', whole);
    const [ann, bob] = [come(n2, 'ann'), come(n3, 'bob')];
    change(n1, 'user', 'ann', null);
    assert.equal(sentAway(ann), 0x87);
    assert.equal(bob.closed, false);
    change(n1, 'ban', 'client:c-bob', { kind: 'client', value: 'c-bob' });
    assert.equal(sentAway(bob), 0x98);
    assert.equal(connack(come(n2, 'bob')), 0x8a);
    change(n2, 'ban', 'client:c-bob', null);
    const back = come(n2, 'bob');
    assert.equal(connack(back), 0);
    user(n3, 'bob', whole, 'another');
    assert.equal(sentAway(back), 0x87);
    const password = '$argon2id$pw-bob';
    change(n1, 'user', 'bob', { name: 'bob', password, rules: whole, enabled: false });
    assert.equal(connack(come(n1, 'bob')), 0x86);
    nodes.advance(100);
  });

  it('cannot take over a session that another user has made', () => {
    const { nodes, n1, n2, user, come } = cluster();
    const whole = [allow('all', '#')];
    user(n1, 'ann', whole);
    user(n1, 'eve', whole);
    const stored = { clientId: 'shared', clean: false, properties: { sessionExpiryInterval: 600 } };
    const ann = come(n1, 'ann', stored);
    assert.equal(connack(ann), 0);
    assert.equal(connack(come(n2, 'eve', stored)), 0x87);
    assert.equal(connack(come(n2, 'eve', { ...stored, clean: true })), 0x87);
    assert.equal(ann.closed, false);
    ann.send({ cmd: 'disconnect' });
    nodes.advance(100);
    assert.equal(connack(come(n2, 'eve', stored)), 0x87);
    assert.equal(connack(come(n2, 'ann', stored)), 0);
  });

  it('refuses a change that is not valid, naming the field, and one that no shard takes in time', () => {
    const { nodes, n1, change } = cluster();
    assert.match(
      change(n1, 'user', 'x', { name: 'x', password: 'plain' })!,
      /password: .*argon2id/,
    );
    assert.match(
      change(n1, 'role', 'x', {
        name: 'x',
        rules: [{ allow: true, action: 'all', topic: 'a/#/b' }],
      })!,
      /rules\.0\.topic: .*Topic Filter/,
    );
    nodes.kill('n2');
    nodes.kill('n3');
    nodes.membersAre({ n2: 'faulty', n3: 'faulty' });
    const outcomes: (string | undefined)[] = [];
    n1.clients.access!.change('role', 'y', { name: 'y', rules: [] }, (p) => outcomes.push(p));
    nodes.advance(11_000);
    assert.deepEqual(outcomes, ['the cluster did not answer in time']);
  });
});
