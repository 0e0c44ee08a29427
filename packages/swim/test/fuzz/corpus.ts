import { decodeMessage } from '../../src/core/codec.ts';
import type { Message } from '../../src/core/message.ts';
import { addressOf, TestCluster } from '../../src/sim/test-cluster.ts';

/** Real messages, by the way they come in. */
export interface Corpus {
  readonly packets: readonly Uint8Array[];
  readonly requests: readonly Uint8Array[];
  readonly responses: readonly Uint8Array[];
}

/** Messages kept of each way; a sample of many. */
const SAMPLES_MAX = 2_000;

/**
 * What the members of a simulated cluster say to each other through joins, crashes, a split, changes
 * of metadata, user events and a departure: every type of message, every state.
 */
export function captureCorpus(seed: string): Corpus {
  const faults = { dropRate: 0.05, duplicateRate: 0.02, reorderRate: 0.05, reorderMs: 20 };
  const cluster = new TestCluster(seed, faults, { syncIntervalMs: 1_000 });
  const packets: Uint8Array[] = [];
  const requests: Uint8Array[] = [];
  const responses: Uint8Array[] = [];
  const { network } = cluster;
  const attach = network.attach.bind(network);
  network.attach = (address, port) =>
    attach(address, {
      onPacket: (from, bytes) => {
        packets.push(bytes.slice());
        port.onPacket(from, bytes);
      },
      onRequest: (from, bytes, reply) => {
        requests.push(bytes.slice());
        port.onRequest(from, bytes, (answer) => {
          if (answer !== null) responses.push(answer.slice());
          reply(answer);
        });
      },
    });
  cluster.addMany(14);
  cluster.until('forms', 20_000, () => cluster.whole());
  cluster.kill('n3');
  cluster.network.split([['n4', 'n5', 'n6'].map(addressOf)]);
  cluster.agent('n1').setMeta(new Uint8Array(100).fill(7));
  for (const name of ['n1', 'n2', 'n7']) {
    void cluster.agent(name).broadcast('deploy', new Uint8Array(60).fill(1));
  }
  cluster.run(8_000);
  cluster.agent('n2').forceLeave('n3');
  cluster.network.heal();
  cluster.run(5_000);
  cluster.add('n3', { bootEpoch: 2, clusterId: 'c' });
  cluster.agent('n8').leave();
  cluster.add('stranger', { clusterId: 'd' });
  cluster.run(8_000);
  // Most pings carry nothing: few of them, so that much is told.
  const telling = packets.filter(
    (bytes, n) => n % 8 === 0 || (decodeMessage(bytes) as Message).updates.length > 0,
  );
  return { packets: thin(telling), requests: thin(requests), responses: thin(responses) };
}

/** Evenly from all of it. */
function thin(messages: readonly Uint8Array[]): Uint8Array[] {
  const step = Math.max(1, messages.length / SAMPLES_MAX);
  const kept: Uint8Array[] = [];
  for (let at = 0; at < messages.length; at += step) {
    kept.push(messages[Math.floor(at)] as Uint8Array);
  }
  return kept;
}
