/**
 * How soon the owners of two members hear that the process of a third was killed, and when it is faulty.
 *
 *     node --conditions=shoal-source bench/micro/swim-refusal.ts [kills]
 *
 * Three members on loopback at the default preset: two in this process, the third in its own, killed by SIGKILL
 * again and again: once with a hint, as a connection that is reset gives it, and once without.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { SwimAgent, swimConfig } from '@shoal/swim';

const VICTIM = 'victim';
const SETTLE_MS = 2_000;
const PROGRAM = fileURLToPath(import.meta.url);
const LOOPBACK = '127.0.0.1:0';

interface Heard {
  refusedMs: number | undefined;
  faultyMs: number | undefined;
}

class Observer {
  heard: Heard = { refusedMs: undefined, faultyMs: undefined };
  agent!: SwimAgent;
  #changed = (): void => {};

  async start(name: string, seeds: readonly string[]): Promise<void> {
    this.agent = await SwimAgent.start({
      ...plan(name, seeds),
      onRefused: (refusal) => {
        if (refusal.name === VICTIM) this.heard.refusedMs ??= performance.now();
        this.#changed();
      },
      onMembers: () => {
        if (this.#state() === 'faulty') this.heard.faultyMs ??= performance.now();
        this.#changed();
      },
    });
  }

  #state(): string | undefined {
    return this.agent?.members().find(({ name }) => name === VICTIM)?.state;
  }

  async seesAlive(): Promise<void> {
    await this.#until(() => this.#state() === 'alive');
  }

  async seesFaulty(): Promise<void> {
    await this.#until(() => this.heard.faultyMs !== undefined);
  }

  async #until(condition: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = () => {
      if (condition()) resolve();
    };
    this.#changed();
    await promise;
  }
}

function plan(name: string, seeds: readonly string[]) {
  const [meta, clusterId] = [new Uint8Array(), name === 'a' ? 'bench' : ''];
  const config = swimConfig();
  return { config, name, clusterId, meta, seeds, listen: LOOPBACK, bootEpoch: Date.now() };
}

function start(seed: string): ChildProcess {
  const args = ['--conditions=shoal-source', PROGRAM, VICTIM, seed];
  return spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] });
}

async function kill(observers: readonly Observer[], hinted: boolean): Promise<number[]> {
  const child = start(observers[0]?.agent.address ?? '');
  await Promise.all(observers.map(async (each) => await each.seesAlive()));
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS + Math.random() * SETTLE_MS));
  for (const each of observers) each.heard = { refusedMs: undefined, faultyMs: undefined };
  const killedMs = performance.now();
  child.kill('SIGKILL');
  await once(child, 'exit');
  if (hinted) for (const { agent } of observers) agent.probeNow(VICTIM);
  await Promise.all(observers.map(async (each) => await each.seesFaulty()));
  const of = (key: keyof Heard): number[] =>
    observers.map(({ heard }) => (heard[key] ?? Number.NaN) - killedMs);
  return [Math.min(...of('refusedMs')), Math.max(...of('refusedMs')), Math.max(...of('faultyMs'))];
}

function show(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((x, y) => x - y);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(
      1,
    );
  console.log(`  ${what.padEnd(14)} p50 ${at(0.5)}  p90 ${at(0.9)}  max ${at(1)}`);
}

async function main(kills: number): Promise<void> {
  const observers = [new Observer(), new Observer()];
  await observers[0]?.start('a', []);
  await observers[1]?.start('b', [observers[0]?.agent.address ?? '']);
  for (const hinted of [false, true]) {
    const runs: number[][] = [];
    for (let n = 0; n < kills; n++) runs.push(await kill(observers, hinted));
    console.log(`${hinted ? 'hint: probeNow' : 'no hint'}, ${kills} kills, ms`);
    ['first owner', 'both owners', 'faulty to both'].forEach((what, at) => {
      show(
        what,
        runs.map((times) => times[at] ?? Number.NaN),
      );
    });
  }
  for (const { agent } of observers) await agent.stop();
}

const [role, seed = ''] = process.argv.slice(2);
if (role === VICTIM) {
  const agent = await SwimAgent.start(plan(VICTIM, [seed]));
  process.stdin.once('end', async () => await agent.stop());
  process.stdin.resume();
} else await main(Number(role ?? 20));
