/** What all rounds of a shape came to, for people and for machines. Pure. */
import { formatTable } from '../../table.ts';
import { type Distribution, distribution } from '../figures.ts';
import type { ChannelFigures } from './figures.ts';
import type { Round } from './round.ts';
import { CLASSES, type Class, isServed } from './shapes.ts';

/** What is wanted of publishes that need not wait for the end of the fault: the longest, and all others. */
export const LONGEST_MS = 3_000;
export const OTHERS_MS = 1_000;
/** What is wanted of the nodes after the end of the fault. */
export const READY_MS = 5_000;

export interface ClassReport {
  readonly of: Class;
  /** The longest wait of one publish, per publisher and round. */
  readonly longestMs: Distribution | null;
  /** The longest before the fault: what the machine was worth. */
  readonly beforeMs: Distribution | null;
  /** The second longest. */
  readonly nextMs: Distribution | null;
  /** From the end of the fault until what waited then was acknowledged. */
  readonly heldMs: Distribution | null;
  /** The longest wait of a publish sent after the end of the fault. */
  readonly afterMs: Distribution | null;
  /** Publishers that waited longer than wanted. */
  readonly late: number;
}

export interface ShapeReport {
  readonly shape: string;
  readonly rounds: readonly Round[];
  readonly classes: readonly ClassReport[];
  readonly readyMs: Distribution | null;
  readonly wholeMs: Distribution | null;
  /** Rounds after which a node was not ready in time, or not all copies in place. */
  readonly unready: number;
  readonly lateReady: number;
  readonly unsettled: number;
  /** Connections that the nodes ended or that broke, by reason code. */
  readonly ends: Readonly<Record<string, number>>;
  readonly violations: number;
  /** By kind. */
  readonly counts: Readonly<Record<string, number>>;
  /** Nothing was lost, repeated or reordered, and all came to an end. */
  readonly safe: boolean;
  /** Nothing took longer than wanted. */
  readonly timely: boolean;
}

/** Whether a publisher waited longer than wanted: more than once for long, or once for very long. */
export function isLate({ of, longestMs, nextMs }: ChannelFigures): boolean {
  return isServed(of) && (longestMs > LONGEST_MS || nextMs > OTHERS_MS);
}

/** Whether nothing was lost, repeated or reordered, and all came to an end. */
export function isSafe({ verdict, unsettled, readyMs, wholeMs }: Round): boolean {
  return verdict.ok && unsettled === 0 && readyMs !== undefined && wholeMs !== undefined;
}

export function reportShape(shape: string, rounds: readonly Round[]): ShapeReport {
  const channels = rounds.flatMap((round) => round.channels);
  const classes = (Object.keys(CLASSES) as Class[]).flatMap((of) => {
    const some = channels.filter((channel) => channel.of === of);
    return some.length === 0 ? [] : [reportClass(of, some)];
  });
  const counts = sumOf(rounds.map(({ verdict }) => verdict.counts));
  const violations = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const unready = rounds.filter((r) => r.readyMs === undefined || r.wholeMs === undefined).length;
  const lateReady = rounds.filter(({ readyMs = Infinity }) => readyMs > READY_MS).length;
  const unsettled = rounds.reduce((sum, round) => sum + round.unsettled, 0);
  return {
    shape,
    rounds,
    classes,
    readyMs: distribution(rounds.flatMap(({ readyMs }) => readyMs ?? [])),
    wholeMs: distribution(rounds.flatMap(({ wholeMs }) => wholeMs ?? [])),
    unready,
    lateReady,
    unsettled,
    ends: sumOf(rounds.map(({ ends }) => ends)),
    violations,
    counts,
    safe: rounds.every(isSafe),
    timely: lateReady === 0 && classes.every(({ late }) => late === 0),
  };
}

function reportClass(of: Class, channels: readonly ChannelFigures[]): ClassReport {
  return {
    of,
    longestMs: distribution(channels.map(({ longestMs }) => longestMs)),
    beforeMs: distribution(channels.map(({ beforeMs }) => beforeMs)),
    nextMs: distribution(channels.map(({ nextMs }) => nextMs)),
    heldMs: distribution(channels.flatMap(({ heldMs }) => heldMs ?? [])),
    afterMs: distribution(channels.map(({ afterMs }) => afterMs)),
    late: channels.filter(isLate).length,
  };
}

function sumOf(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of all) {
    for (const [kind, n] of Object.entries(counts)) sum[kind] = (sum[kind] ?? 0) + n;
  }
  return sum;
}

/** Those that are not 0. */
function listOf(counts: Readonly<Record<string, number>>): string {
  const found = Object.entries(counts).filter(([, n]) => n > 0);
  return found.map(([kind, n]) => `${kind}: ${n}`).join(', ');
}

/** Several lines. */
export function describeShape(report: ShapeReport): string {
  const ms = (value: number | undefined): string =>
    value === undefined ? '-' : String(Math.round(value));
  const head = ['class', 'n', 'before p50', 'p99', 'longest p50', 'p99', 'max', 'others max'];
  const more = ['held p50', 'max', 'after p50', 'max', 'late'];
  const rows = report.classes.map(({ of, beforeMs, longestMs, nextMs, heldMs, afterMs, late }) => [
    CLASSES[of],
    ms(longestMs?.n),
    ms(beforeMs?.p50),
    ms(beforeMs?.p99),
    ms(longestMs?.p50),
    ms(longestMs?.p99),
    ms(longestMs?.max),
    ms(nextMs?.max),
    ms(heldMs?.p50),
    ms(heldMs?.max),
    ms(afterMs?.p50),
    ms(afterMs?.max),
    isServed(of) ? String(late) : '-',
  ]);
  const { shape, rounds, readyMs, wholeMs, lateReady, violations, counts } = report;
  const found = listOf(counts);
  const spread = (d: Distribution | null): string =>
    d ? `p50 ${ms(d.p50)}, p99 ${ms(d.p99)}, max ${ms(d.max)}` : 'never';
  return [
    `\n${shape}, ${rounds.length} rounds; waits of one publish in ms`,
    formatTable([[...head, ...more], ...rows], 1),
    `end of the fault to all ready, ms: ${spread(readyMs)} (late: ${lateReady})`,
    `end of the fault to all copies in place, ms: ${spread(wholeMs)} (never: ${report.unready})`,
    `connections ended by nodes, or broken: ${listOf(report.ends) || 'none'}`,
    `violations: ${violations}${found && ` (${found})`}; never acknowledged: ${report.unsettled}`,
  ].join('\n');
}

/** One line. */
export function describeRound(round: Round): string {
  const { what, channels, readyMs, wholeMs, verdict, unsettled } = round;
  const longest = (served: boolean): string => {
    const some = channels.filter(({ of }) => isServed(of) === served);
    if (some.length === 0) return '-';
    return `${Math.round(Math.max(...some.map(({ longestMs }) => longestMs)))} ms`;
  };
  const ms = (value: number | undefined): string =>
    value === undefined ? 'NEVER' : `after ${Math.round(value)} ms`;
  const violations = Object.values(verdict.counts).reduce((sum, n) => sum + n, 0);
  return (
    `${what}; ${channels.length} publishers, longest wait ${longest(true)}, ` +
    `without a majority ${longest(false)}; ready ${ms(readyMs)}, whole ${ms(wholeMs)}; ` +
    `${channels.filter(isLate).length} late, ${violations} violations, ${unsettled} unsettled; ` +
    `load ${round.load.toFixed(1)}`
  );
}
