/** One member in a process of its own: tells its parent whatever changes in its list. */
import { type MemberState, SwimAgent, type SwimPreset, swimConfig } from '@shoal/swim';

/** What a member is told as its argument, in JSON. */
export interface AgentTask {
  readonly name: string;
  readonly seeds: readonly string[];
  readonly preset: SwimPreset;
}

/** What it tells its parent. */
export type AgentReport =
  | { readonly type: 'ready'; readonly address: string }
  /** Milliseconds since 1970, with fraction: processes of one machine agree on them. */
  | {
      readonly type: 'state';
      readonly atMs: number;
      readonly name: string;
      readonly state: MemberState;
    }
  | { readonly type: 'counters'; readonly packetsOut: number; readonly bytesOut: number };

const task = JSON.parse(process.argv[2] ?? '{}') as AgentTask;
const tell = (report: AgentReport): void => void process.send?.(report);
const seen = new Map<string, MemberState>();

const agent = await SwimAgent.start({
  config: swimConfig({}, task.preset),
  name: task.name,
  bootEpoch: 1,
  clusterId: task.seeds.length === 0 ? 'membership-bench' : '',
  listen: '127.0.0.1:0',
  meta: new Uint8Array(),
  seeds: task.seeds,
  onMembers: (members) => {
    const atMs = performance.timeOrigin + performance.now();
    for (const { name, state } of members) {
      if (seen.get(name) === state) continue;
      seen.set(name, state);
      tell({ type: 'state', atMs, name, state });
    }
  },
});

process.on('message', () => {
  const { packetsOut, bytesOut } = agent.counters;
  tell({ type: 'counters', packetsOut, bytesOut });
});
process.on('disconnect', () => process.exit());
tell({ type: 'ready', address: agent.address });
