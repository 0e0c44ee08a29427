/** Packets that cost far more than their bytes: a client that sends many stops no other. */
import assert from 'node:assert/strict';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { ALIAS_CHARACTERS_MAX, NODE_ALIAS_CHARACTERS_MAX } from '../../src/node/client/aliases.ts';
import { begin, finish } from '../../src/node/client/reading.ts';
import { TestNodes } from './nodes.ts';

/** All filters of `a` and `+` in the first levels: a topic of `a` alone matches each. */
function filtersOf(branching: number, levels: number): string[] {
  const rest = '/+'.repeat(levels - branching);
  return Array.from(
    { length: 2 ** branching },
    (_, bits) =>
      Array.from({ length: branching }, (__, at) => ((bits >> at) & 1 ? 'a' : '+')).join('/') +
      rest,
  );
}

describe('PUBLISH that is matched at a cost', () => {
  it('is read on in the next turn, in order, and what comes behind it waits', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const subscriber = nodes.connect(core, { clientId: 's' });
    const subscriptions = filtersOf(9, 100).map((topic) => ({ topic, qos: 0 as const }));
    const subscribe = { cmd: 'subscribe', messageId: 1, subscriptions } as Packet;
    const bytes = mqttPacket.generate(subscribe, { protocolVersion: 5 });
    subscriber.handler.onData(bytes, 0, bytes.length);
    nodes.advance(500);
    subscriber.take();

    let now = 0;
    let most = 0;
    const { deliver } = core.live;
    core.live.deliver = (message) => {
      most = Math.max(most, ++now);
      return deliver.call(core.live, message);
    };
    const flush = core.flush.bind(core);
    core.flush = () => {
      now = 0;
      flush();
    };
    const publisher = nodes.connect(core, { clientId: 'p' });
    publisher.take();
    const topic = Array.from({ length: 100 }, () => 'a').join('/');
    const publishes = Array.from({ length: 40 }, (_, i) =>
      mqttPacket.generate({ cmd: 'publish', topic, payload: `${i}`, qos: 0 } as Packet, {
        protocolVersion: 5,
      }),
    );
    const flood = Buffer.concat([...publishes, Buffer.from('c000', 'hex')]);
    publisher.handler.onData(flood, 0, flood.length);
    nodes.advance(500);
    assert.deepEqual(
      publisher.take().map((p) => p.cmd),
      ['pingresp'],
    );
    const got = subscriber.take().map((p) => (p.cmd === 'publish' ? `${p.payload}` : p.cmd));
    assert.deepEqual(
      got,
      publishes.map((_, i) => `${i}`),
    );
    assert.ok(most <= 3, `${most} in one turn`);
  });
});

describe('what comes behind a packet that takes a while', () => {
  it('is bounded, although the client is read again for another reason meanwhile', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const socket = nodes.connect(core, { clientId: 'c' });
    socket.take();
    const subscriptions = Array.from({ length: 2000 }, (_, i) => ({ topic: `f/+/${i}`, qos: 0 }));
    const subscribe = { cmd: 'subscribe', messageId: 5, subscriptions } as Packet;
    const bytes = mqttPacket.generate(subscribe, { protocolVersion: 5 });
    socket.handler.onData(bytes, 0, bytes.length);
    const pings = Buffer.alloc(300_000, Buffer.from('c000', 'hex'));
    socket.handler.onData(pings, 0, pings.length);
    assert.equal(socket.paused, true);
    // A publish from before is answered now, and makes room for others.
    const connection = [...core.clients.connections.values()][0]!;
    begin(connection, core.limits.publishBytesInFlight);
    finish(connection, core.limits.publishBytesInFlight);
    assert.equal(socket.paused, true);
    nodes.advance(1000);
    assert.equal(socket.paused, false);
    const said = socket.take().map((p) => p.cmd);
    assert.equal(said.filter((cmd) => cmd === 'pingresp').length, 150_000);
    assert.ok(said.includes('suback'));
  });
});

describe('Topic Aliases', () => {
  const define = (topicAlias: number, characters: number) =>
    mqttPacket.generate(
      {
        cmd: 'publish',
        topic: `${topicAlias}/`.padEnd(characters, 'x'),
        payload: '',
        qos: 0,
        properties: { topicAlias },
      } as Packet,
      { protocolVersion: 5 },
    );

  it('of one connection have a bound in bytes: one that goes beyond is told 0x97', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const socket = nodes.connect(core, { clientId: 'c' });
    socket.take();
    const send = (bytes: Buffer) => socket.handler.onData(bytes, 0, bytes.length);
    const fit = Math.floor(ALIAS_CHARACTERS_MAX / 60_000);
    for (let alias = 1; alias <= fit; alias++) send(define(alias, 60_000));
    // One defined anew counts once.
    for (let i = 0; i < 20; i++) send(define(1, 60_000));
    nodes.advance(100);
    assert.deepEqual(socket.take(), []);
    assert.equal(core.counters.aliasCharacters, fit * 60_000);
    send(define(fit + 1, 60_000));
    nodes.advance(100);
    const said = socket.take().map((p) => (p.cmd === 'disconnect' ? p.reasonCode : p.cmd));
    assert.deepEqual(said, [0x97]);
    assert.equal(core.counters.aliasCharacters, 0);
  });

  it('of a node have one, too: beyond, those for ordinary topics are defined still', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    core.counters.aliasCharacters = NODE_ALIAS_CHARACTERS_MAX;
    const [ordinary, large] = ['o', 'l'].map((clientId) => nodes.connect(core, { clientId }));
    for (const socket of [ordinary!, large!]) socket.take();
    for (let alias = 1; alias <= 64; alias++) {
      const bytes = define(alias, 200);
      ordinary!.handler.onData(bytes, 0, bytes.length);
    }
    const bytes = define(1, 20_000);
    large!.handler.onData(bytes, 0, bytes.length);
    nodes.advance(100);
    assert.deepEqual(ordinary!.take(), []);
    const said = large!.take().map((p) => (p.cmd === 'disconnect' ? p.reasonCode : p.cmd));
    assert.deepEqual(said, [0x97]);
  });
});
