/**
 * A process with one member, for tests that need several machines: prints the members that it sees
 * present, as a line of JSON at every change, and ends when its standard input does.
 *
 * Its argument is the plan, as JSON.
 */
import { swimConfig } from '../../src/config.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';

/** How the process starts. */
export interface AgentPlan {
  readonly name: string;
  readonly bootEpoch: number;
  readonly clusterId: string;
  readonly listen: string;
  readonly discovery: readonly string[];
}

/** One line of output: name → address of who is present. */
export type Present = Readonly<Record<string, string>>;

const agent = await SwimAgent.start({
  ...(JSON.parse(process.argv[2] as string) as AgentPlan),
  config: swimConfig({ discoveryIntervalMs: 200 }, 'test'),
  meta: new Uint8Array(),
  insecure: true,
  onMembers: (members) => {
    const alive = members.filter(({ state }) => state === 'alive');
    const present: Present = Object.fromEntries(alive.map(({ name, address }) => [name, address]));
    console.log(JSON.stringify(present));
  },
  log: (level, message, fields) => console.error(level, message, fields),
});

process.stdin.once('end', async () => {
  await agent.stop();
});
process.stdin.resume();
