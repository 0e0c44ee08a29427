import { FNV_BASIS, fnvStep } from '../../core/fnv.ts';

/** What one scenario found, as printed, written as JSON and drawn. */
export interface Report {
  readonly scenario: string;
  readonly seed: string;
  /** What was run, so that another can run it again. */
  readonly settings: Readonly<Record<string, number | string>>;
  readonly tables: readonly Table[];
  readonly bars: readonly Bar[];
  readonly charts: readonly Chart[];
  /** Hash over every change of state of every run: equal code and seed give an equal one. */
  readonly traceHash: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (number | string)[])[];
}

/** A bar to be met; the scenario fails if one is not. */
export interface Bar {
  readonly what: string;
  readonly value: number | string;
  readonly ok: boolean;
}

/** Lines over one x axis. */
export interface Chart {
  readonly name: string;
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly { readonly name: string; readonly points: readonly Point[] }[];
}

export interface Axis {
  readonly title: string;
  readonly logarithmic?: boolean;
}

export type Point = readonly [x: number, y: number];

/** How a scenario is run. */
export interface ScenarioOptions {
  readonly seed: string;
  /** Members; undefined for the scenario's own number or numbers. */
  readonly nodes: number | undefined;
  /** The long version. */
  readonly full: boolean;
  /** Runs per measured point; undefined for the scenario's own number. */
  readonly repeats: number | undefined;
  readonly progress: (done: number, total: number, what: string) => void;
}

export interface Scenario {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  run(options: ScenarioOptions): Report | Promise<Report>;
}

/** The value below which the given share of the values lies; values need not be sorted. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const at = Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1);
  return sorted[Math.max(0, at)] ?? Number.NaN;
}

/** Seconds with two decimals. */
export function seconds(ms: number): number {
  return rounded(ms / 1000, 2);
}

export function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

/** Combines the trace hashes of several runs, order included. */
export class TraceHash {
  #hash = FNV_BASIS;

  add(traceHash: string): void {
    this.#hash = fnvStep(this.#hash, Number.parseInt(traceHash, 16));
  }

  get text(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }
}

/** The report as text: tables, then the bars. */
export function formatReport(report: Report): string {
  const parts = report.tables.map(formatTable);
  if (report.bars.length > 0) {
    const rows = report.bars.map(({ what, value, ok }) => [ok ? 'met' : 'MISSED', what, value]);
    parts.push(formatTable({ title: 'Bars', columns: ['', 'bar', 'measured'], rows }));
  }
  const settings = Object.entries(report.settings).map(([name, value]) => `${name} ${value}`);
  parts.push(`seed ${report.seed}; ${settings.join(', ')}; trace ${report.traceHash}`);
  return parts.join('\n\n');
}

function formatTable({ title, columns, rows }: Table): string {
  const texts = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, at) => Math.max(...texts.map((row) => row[at]?.length ?? 0)));
  const lines = texts.map((row, line) =>
    row
      .map((cell, at) => {
        const isNumber = line > 0 && typeof rows[line - 1]?.[at] === 'number';
        const width = widths[at] ?? 0;
        return isNumber ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [title, '', lines[0], rule, ...lines.slice(1)].join('\n');
}
