import { brokerCore } from './src/sim/broker-core.ts';
import { drawOptions } from './src/sim/options.ts';
import { Simulation } from './src/sim/simulation.ts';
import { shardOf } from './src/placement/hash.ts';
const [seed, client] = process.argv.slice(2);
const sim = new Simulation({ options: drawOptions(Number(seed)), factory: brokerCore });
sim.run();
for (const name of sim.cluster.names()) {
  const p: any = sim.cluster.process(name);
  const core: any = p?.core?.core ?? p?.core;
  const node = core?.node ?? core;
  if (!node?.shards) { console.log(name, 'no core', Object.keys(core ?? {})); continue; }
  const shard = shardOf(client!, node.shardCount);
  const l = node.shards.leaders[shard];
  const s = l?.state.sessions.get(client);
  if (l?.serving) {
    const { subscriptions, ...rest } = s;
    console.log(name, 'leads', shard, JSON.stringify({ ...rest, tail: s.tail, first: s.first, pending: s.pending, ids: s.stragglers }), 'refs', [...s.refs()].slice(0, 5), 'commit', l.replica.commit);
    for (const pump of (l.delivering as any).pumpsForDebug ?? []) console.log(pump);
  } else console.log(name, 'follows', s?.pending);
  for (const c of node.connections.values()) if (c.clientId === client) console.log(name, 'conn', c.id, c.isOpen, c.epoch, 'inflight', c.out?.inFlight.size, 'held', c.out?.held.length, 'next', c.out?.nextPosition, 'rm', c.receiveMaximum, 'pending', c.socket.pendingBytes, [...(c.out?.inFlight ?? [])].slice(0,4), 'retained', c.retained);
}
