/**
 * One member of ours in a process of its own: says on its output, a line of JSON each, what becomes of the
 * others; answers `counters` and takes `lose SHARE` on its input.
 */
import { createInterface } from 'node:readline';
import {
  SwimAgent,
  type SwimConfigInput,
  type SwimPreset,
  socketTransport,
  swimConfig,
  type TransportOpener,
} from '@shoal/swim';

interface Task {
  readonly name: string;
  readonly seeds: readonly string[];
  readonly listen: string;
  readonly config: SwimConfigInput;
  readonly preset?: SwimPreset;
}

const task = JSON.parse(process.argv[2] ?? '{}') as Task;
const tell = (fields: object): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);
let losesShare = 0;
const loses = (): boolean => Math.random() < losesShare;

/** Loses a share of the datagrams both ways. */
const lossy: TransportOpener = async (options) => {
  const inner = await socketTransport()({
    ...options,
    onPacket: (from, bytes) => {
      if (!loses()) options.onPacket(from, bytes);
    },
    onRequest: (...request) => options.onRequest(...request),
  });
  return {
    address: inner.address,
    failed: 0,
    send: (to, bytes) => {
      if (!loses()) inner.send(to, bytes);
    },
    request: (...request) => inner.request(...request),
    close: () => inner.close(),
  };
};

const nowMs = (): number => performance.timeOrigin + performance.now();
const seen = new Map<string, string>();
const agent = await SwimAgent.start({
  config: swimConfig(task.config, task.preset),
  name: task.name,
  bootEpoch: 1,
  clusterId: task.seeds.length === 0 ? 'beside' : '',
  listen: task.listen,
  insecure: true,
  seeds: task.seeds,
  transport: lossy,
  onView: (_view, { removed }) => {
    const atMs = nowMs();
    for (const name of removed) tell({ type: 'view', atMs, name, state: 'out' });
  },
  onMembers: (members) => {
    const atMs = nowMs();
    for (const { name, state } of members) {
      if (seen.get(name) === state) continue;
      seen.set(name, state);
      tell({ type: 'state', atMs, name, state });
    }
  },
});
tell({ type: 'ready', address: agent.address });
const input = createInterface(process.stdin);
input.on('line', (line) => {
  if (line.startsWith('lose ')) losesShare = Number(line.slice(5));
  else {
    const { packetsOut, bytesOut } = agent.counters;
    tell({ type: 'counters', packetsOut, bytesOut });
  }
});
input.on('close', () => process.exit());
