/** Golden texts of what nodes and clients say to each other; the nodes are on a host without a network. */
import assert from 'node:assert/strict';
import type { Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { nameOf } from '../../src/shard/view.ts';
import { itTells } from '../golden.ts';
import { TestNodes, type TestSocket } from './nodes.ts';
import { Transcript } from './transcript.ts';

const SHARDS = 16;
const LATENCY_MS = 20;
const STORED = { clean: false, properties: { sessionExpiryInterval: 600 } };

/** Client Identifiers; which shard each is of is known from its hash. */
const NAMES =
  'ann bob cal dan eve fay gus hal ian jan kim lea max ned ora pam ray sam tom una val wes ' +
  'amy ben cat deb eli flo gil ivy joe kay lou meg nan oli pat rex sue ted uma vic zoe';

interface Scene {
  readonly nodes: TestNodes;
  readonly cores: readonly [NodeCore, NodeCore, NodeCore];
  readonly shard: number;
  /** Client Identifiers of the shard. */
  readonly ids: readonly string[];
}

/** n1 founds, n2 and n3 join; n1 leads the shard of so many clients, with these copies. */
function scene(copies: readonly string[], clients: number): Scene {
  const nodes = new TestNodes();
  const add = (name: string) => nodes.add(name, { replicas: copies.length });
  const cores = [add('n1'), add('n2'), add('n3')] as const;
  nodes.advance(10_000);
  for (const { shard, active } of cores[0].views) {
    const ids = NAMES.split(' ').filter((id) => shardOf(id, SHARDS) === shard);
    if (active.map(nameOf).join() !== copies.join() || ids.length < clients) continue;
    return { nodes, cores, shard, ids: ids.slice(0, clients) };
  }
  throw new Error('no such shard');
}

const acknowledge = (cmd: 'pubrec' | 'pubrel' | 'pubcomp', messageId: number) =>
  ({ cmd, messageId }) as Packet;

/** Until what follows has happened. */
const SETTLE_MS = 300;

const cases: Record<string, () => Transcript> = {
  'PUBREL and PUBCOMP across a failover': () => {
    const { nodes, cores, shard, ids } = scene(['n1', 'n2', 'n3'], 1);
    const [, n2, n3] = cores;
    const [clientId] = ids as [string];
    const client = nodes.connect(n2, { clientId, ...STORED }).subscribe(['t'], 2);
    const publisher = nodes.connect(n3, { clientId: 'pub' });
    nodes.advance(1000);
    nodes.latencyMs = LATENCY_MS;
    const told = new Transcript(nodes, shard, ids);
    told.step(`a QoS 2 message for ${clientId}, whose session n1 leads and n2 is the gateway of`);
    publisher.publish('t', { qos: 2 });
    nodes.advance(SETTLE_MS);
    const packetId = idOf(client);
    told.step('n1 ends when the others have logged the PUBREC, and before it answers');
    client.send(acknowledge('pubrec', packetId));
    nodes.advance(2 * LATENCY_MS);
    nodes.kill('n1');
    told.step('n3 leads: asked again, it has the PUBREC, and PUBREL leaves');
    until(nodes, told, () => n3.shards.serving(shard) !== null);
    nodes.advance(SETTLE_MS);
    told.all();
    told.step(`${clientId} is lost before PUBCOMP, and comes back to n3: PUBREL, and no PUBLISH`);
    client.end();
    nodes.advance(SETTLE_MS);
    const back = nodes.connect(n3, { clientId, ...STORED });
    nodes.advance(SETTLE_MS);
    told.step('PUBCOMP ends the exchange');
    back.send(acknowledge('pubcomp', packetId));
    nodes.advance(SETTLE_MS);
    told.all();
    return told;
  },

  'a link that is lost with deliveries on it': () => {
    const { nodes, cores, shard, ids } = scene(['n1', 'n3'], 2);
    const [n1, n2] = cores;
    for (const clientId of ids) nodes.connect(n2, { clientId, ...STORED }).subscribe(['t/#'], 1);
    const publisher = nodes.connect(n1, { clientId: 'pub' });
    nodes.advance(1000);
    nodes.latencyMs = LATENCY_MS;
    const told = new Transcript(nodes, shard, ids);
    told.step(`a message is on its way to n2, the gateway of ${ids.join(' and ')}`);
    publisher.publish('t/lost', { qos: 1 });
    nodes.advance(2 * LATENCY_MS);
    told.step('the link between n1 and n2 breaks; two more messages come meanwhile');
    nodes.cut('n1', 'n2');
    nodes.advance(LATENCY_MS);
    publisher.publish('t/later', { qos: 1 });
    nodes.advance(3 * LATENCY_MS);
    publisher.publish('t/last', { qos: 1 });
    nodes.advance(LATENCY_MS);
    told.step('the link is up again, t/last not committed: each queue is sent from its front');
    nodes.link('n1', 'n2');
    nodes.advance(SETTLE_MS);
    told.all();
    return told;
  },
};

/** Packet Identifier of the last PUBLISH that the client got. */
function idOf(client: TestSocket): number {
  const publish = client.take().findLast(({ cmd }) => cmd === 'publish');
  assert.ok(publish?.messageId);
  return publish.messageId;
}

function until(nodes: TestNodes, told: Transcript, condition: () => boolean): void {
  for (const endMs = nodes.nowMs + 20_000; !condition(); nodes.advance(20))
    assert.ok(nodes.nowMs < endMs, told.text);
}

describe('transcripts of nodes', () => {
  itTells(new URL('transcripts/', import.meta.url), cases);
});
