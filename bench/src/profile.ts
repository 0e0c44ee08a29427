/** The hottest functions of a CPU profile that Node.js wrote (`--cpu-prof`). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatTable } from './table.ts';

const FUNCTIONS_SHOWN = 25;

/** The part of the .cpuprofile format that is read. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds from the sample before. */
  readonly timeDeltas: readonly number[];
}

export interface HotFunction {
  readonly name: string;
  /** Last two parts of the path and the line, or '' for what is not JavaScript. */
  readonly place: string;
  /** Share of the time in which the thread was not idle, without what it called. */
  readonly share: number;
}

/** Functions by self time, hottest first. */
export function hotFunctions(profile: CpuProfile): HotFunction[] {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const selfUs = new Map<string, { name: string; place: string; us: number }>();
  let busyUs = 0;
  profile.samples.forEach((id, i) => {
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === '(idle)') return;
    const us = profile.timeDeltas[i] ?? 0;
    busyUs += us;
    const file = frame.url.split('/').slice(-2).join('/');
    const place = file === '' ? '' : `${file}:${frame.lineNumber + 1}`;
    const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
    const entry = selfUs.get(`${name} ${place}`) ?? { name, place, us: 0 };
    entry.us += us;
    selfUs.set(`${name} ${place}`, entry);
  });
  return [...selfUs.values()]
    .sort((a, b) => b.us - a.us)
    .map(({ name, place, us }) => ({ name, place, share: busyUs === 0 ? 0 : us / busyUs }));
}

/** Prints the profiles of one process: its main thread and its workers, each a file. */
export function printProfiles(folder: string, broker: string, pid: number): void {
  const files = readdirSync(folder, { withFileTypes: true })
    .map((entry) => entry.name)
    .filter((name) => name.startsWith('CPU.') && name.split('.')[3] === String(pid));
  for (const file of files) {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
    const rows = hotFunctions(profile)
      .slice(0, FUNCTIONS_SHOWN)
      .map((hot) => [`${(hot.share * 100).toFixed(1)}%`, hot.name, hot.place]);
    console.log(`\n${broker}: self time, ${join(folder, file)}\n${formatTable(rows, 3)}`);
  }
}
