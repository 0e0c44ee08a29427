/** What beside.ts found, as tables. */
import { distribution } from '../chaos/figures.ts';

export interface Result {
  readonly program: string;
  /** From each kill until all others knew. */
  readonly killedMs: readonly number[];
  /** From each cable taken out until all others knew; empty where there are no cables. */
  readonly cutMs: readonly number[];
  /** Of each pause: how many called the member faulty, and how many had it out of their view. */
  readonly deaths: readonly {
    readonly durationMs: number;
    readonly faulty: number;
    readonly out: number;
  }[];
  readonly toleratedMs: number;
  readonly falseDeaths: number;
  readonly datagrams: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly rssMiB: number;
  /** Of the machine, at the end. */
  readonly load: number;
}

export const COLUMNS = [
  'program',
  'killed, known to all: p50, s',
  'max',
  'cut off, known to all: max, s',
  'pause tolerated, s',
  'healthy called dead beside a lossy one',
  'datagrams/s',
  'bytes/s',
  'CPU ms/s',
  'MiB',
  'load',
];

const seconds = (ms = Number.NaN): number => Number((ms / 1_000).toFixed(2));

export function row(each: Result): (string | number)[] {
  const killed = distribution(each.killedMs);
  return [
    each.program,
    seconds(killed?.p50),
    seconds(killed?.max),
    each.cutMs.length === 0 ? '–' : seconds(Math.max(...each.cutMs)),
    seconds(each.toleratedMs),
    each.falseDeaths,
    Number(each.datagrams.toFixed(1)),
    Number(each.bytes.toFixed(0)),
    Number(each.cpuMs.toFixed(1)),
    Number(each.rssMiB.toFixed(0)),
    Number(each.load.toFixed(1)),
  ];
}

export const BARS_COLUMNS = ['what', 'wanted', 'measured', 'kept'];

/** What the default preset promises; none without a result. */
export function bars(ours: Result | undefined): string[][] {
  if (ours === undefined) return [];
  const at5 = ours.deaths.find(({ durationMs }) => durationMs === 5_000);
  const killed = seconds(distribution(ours.killedMs)?.p50);
  const cut = seconds(Math.max(...ours.cutMs));
  const bar = (what: string, most: number, unit: string, value: number): string[] => [
    what,
    most === 0 ? '0' : `at most ${most}${unit}`,
    `${value}${unit}`,
    value <= most ? 'yes' : 'NO',
  ];
  const all = [
    bar('SIGKILL: known to all, median', 1.5, ' s', killed),
    bar('SIGSTOP for 5 s: members that call it faulty', 0, '', at5?.faulty ?? Number.NaN),
    bar('SIGSTOP for 5 s: stable views that it leaves', 0, '', at5?.out ?? Number.NaN),
    bar('healthy members called dead beside one that loses 80 %', 0, '', ours.falseDeaths),
    bar('datagrams a second at rest (16 before a pause was no death)', 8, '', rounded(ours)),
  ];
  if (ours.cutMs.length > 0) all.push(bar('cable out: known to all, longest', 8, ' s', cut));
  return all;
}

function rounded({ datagrams }: Result): number {
  return Number(datagrams.toFixed(1));
}
