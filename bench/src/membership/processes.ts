/** Members on loopback of which some are killed and some are paused, and what all of them saw. */
import { fileURLToPath } from 'node:url';
import type { SwimPreset } from '@shoal/swim';
import { type IdleCost, MemberProcesses } from './member-processes.ts';
import { Observations } from './observations.ts';

const MEMBER = fileURLToPath(new URL('./member.ts', import.meta.url));
const FORM_MAX_MS = 120_000;

export class ProcessCluster {
  readonly observations = new Observations();
  readonly #processes = new MemberProcesses((observer, { type, atMs, name, state }) => {
    if (type === 'state' && state !== 'out')
      this.observations.record({ atMs, observer, name, state });
  });

  get names(): string[] {
    return this.#processes.names;
  }

  /** Starts members until all of them see all others. */
  async form(
    size: number,
    preset: SwimPreset,
    onProgress: (formed: number) => void,
  ): Promise<void> {
    const first = await this.#start('n0', [], preset);
    for (let n = 1; n < size; n++) {
      await this.#start(`n${n}`, [first], preset);
      onProgress(n + 1);
    }
    await this.until('formed', FORM_MAX_MS, () => this.observations.allSee('alive', this.names));
  }

  /** What each costs on average while nothing happens. */
  idleCost(windowMs: number): Promise<IdleCost> {
    return this.#processes.idleCost(windowMs);
  }

  signal(name: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#processes.signal(name, signal);
    if (signal === 'SIGKILL') this.#processes.drop(name);
  }

  until(what: string, limitMs: number, condition: () => boolean): Promise<void> {
    return this.#processes.until(what, limitMs, condition);
  }

  stop(): void {
    this.#processes.stop();
  }

  #start(name: string, seeds: readonly string[], preset: SwimPreset): Promise<string> {
    const task = JSON.stringify({ name, seeds, listen: '127.0.0.1:0', config: {}, preset });
    return this.#processes.start(name, [
      process.execPath,
      '--conditions=shoal-source',
      MEMBER,
      task,
    ]);
  }
}
