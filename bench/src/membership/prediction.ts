/** The same run in virtual time: what the simulator says that processes will do. */
import { type MemberState, type SwimPreset, swimConfig } from '@shoal/swim';
import { Network, Prng, Scheduler, SimAgent } from '@shoal/swim/sim';
import { type Figures, Observations } from './observations.ts';

export interface Plan {
  readonly agents: number;
  readonly kills: number;
  readonly pausesMs: readonly number[];
  readonly preset: SwimPreset;
}

/** Which members of `n0`…: those killed, those paused, and the others. The founder is left alone. */
export function roles({ agents, kills, pausesMs }: Plan) {
  const names = Array.from({ length: agents }, (_, n) => `n${n}`);
  const killed = names.slice(1, 1 + kills);
  const paused = pausesMs.map((durationMs, n) => ({
    name: names[1 + kills + n] as string,
    durationMs,
  }));
  const survivors = names.filter(
    (name) => !killed.includes(name) && !paused.some((each) => each.name === name),
  );
  return { names, killed, paused, survivors };
}

/** Longest time from a kill until all know, and from the last waking until all are back. */
export const SETTLE_MS = 30_000;

export function predict(plan: Plan, seed: number): Figures {
  const scheduler = new Scheduler();
  const prng = new Prng(`membership ${seed}`);
  const network = new Network({ scheduler, prng: prng.fork('network') });
  const observations = new Observations();
  const { names, killed, paused, survivors } = roles(plan);
  const agents = new Map<string, SimAgent>();
  for (const name of names) {
    const chance = prng.fork(name);
    const seen = new Map<string, MemberState>();
    const agent = new SimAgent({
      scheduler,
      network,
      swim: {
        config: swimConfig({}, plan.preset),
        name,
        bootEpoch: 1,
        clusterId: name === 'n0' ? 'c' : '',
        address: `${name}:1`,
        meta: new Uint8Array(),
        random: () => chance.next(),
      },
      callbacks: {
        onMembers: (members) => {
          for (const member of members) {
            if (seen.get(member.name) === member.state) continue;
            seen.set(member.name, member.state);
            const { name: of, state } = member;
            observations.record({ atMs: scheduler.nowMs, observer: name, name: of, state });
          }
        },
      },
    });
    agents.set(name, agent);
    agent.start(name === 'n0' ? [] : ['n0:1']);
  }
  scheduler.runUntil(20_000 + prng.next() * 1_000);
  const killMs = scheduler.nowMs;
  for (const name of killed) agents.get(name)?.stop();
  scheduler.runUntil(killMs + SETTLE_MS);
  const pauseMs = scheduler.nowMs;
  for (const { name, durationMs } of paused) {
    agents.get(name)?.pause();
    scheduler.after(durationMs, () => agents.get(name)?.resume());
  }
  scheduler.runUntil(pauseMs + Math.max(0, ...plan.pausesMs) + SETTLE_MS);
  return observations.figures({ killed, killMs, paused, pauseMs }, survivors);
}
