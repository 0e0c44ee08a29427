/**
 * A process with one member, for tests that need several machines: prints the members that it sees
 * present, and those that it has ever called faulty, as a line of JSON at every change, and ends when its
 * standard input does.
 *
 * Its argument is the plan, as JSON.
 */
import { type SwimConfigInput, type SwimPreset, swimConfig } from '../../src/config.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';

/** How the process starts. */
export interface AgentPlan {
  readonly name: string;
  readonly bootEpoch: number;
  readonly clusterId: string;
  readonly listen: string;
  readonly discovery: readonly string[];
  readonly seeds?: readonly string[];
  readonly advertise?: string;
  /** By default `test`. */
  readonly preset?: SwimPreset;
  readonly config?: SwimConfigInput;
}

/** Name → address of who is present. */
export type Present = Readonly<Record<string, string>>;

/** One line of output. */
export interface Seen {
  readonly present: Present;
  /** Names, sorted. */
  readonly faulty: readonly string[];
}

const plan = JSON.parse(process.argv[2] as string) as AgentPlan;
const faulty = new Set<string>();

const agent = await SwimAgent.start({
  ...plan,
  config: swimConfig({ discoveryIntervalMs: 200, ...plan.config }, plan.preset ?? 'test'),
  meta: new Uint8Array(),
  insecure: true,
  onMembers: (members) => {
    const alive = members.filter(({ state }) => state === 'alive');
    const present: Present = Object.fromEntries(alive.map(({ name, address }) => [name, address]));
    for (const { name, state } of members) if (state === 'faulty') faulty.add(name);
    const seen: Seen = { present, faulty: [...faulty].sort() };
    console.log(JSON.stringify(seen));
  },
  log: (level, message, fields) => console.error(level, message, fields),
});

process.stdin.once('end', async () => {
  await agent.stop();
});
process.stdin.resume();
