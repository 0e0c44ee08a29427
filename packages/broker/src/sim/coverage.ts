import { BEHAVIOURS, type BehaviourName } from './behaviours.ts';
import { FAULTS, type FaultName, PHASES, type PhaseName } from './faults.ts';

/** A phase counts as under way this long after its last report. */
const PHASE_LINGERS_MS = 10;

/**
 * Counts each fault × each protocol phase: what the cluster was doing when the fault struck.
 *
 * A run that never kills a node while a promise is in flight has not tested that; the counters show
 * it. They add up over seeds.
 */
export class Coverage {
  /** fault × phase, row by row. */
  readonly hits: Uint32Array = new Uint32Array(FAULTS.length * PHASES.length);
  /** Faults injected, by fault. */
  readonly faults: Uint32Array = new Uint32Array(FAULTS.length);
  /** Reports of each phase. */
  readonly phases: Uint32Array = new Uint32Array(PHASES.length);
  /** Runs that drew each fault, then each behaviour of clients. */
  readonly drawn: Uint32Array = new Uint32Array(FAULTS.length + BEHAVIOURS.length);
  readonly #lastAtMs = new Float64Array(PHASES.length).fill(Number.NEGATIVE_INFINITY);

  /** The core reported a phase; unknown names are ignored. */
  phase(name: string, nowMs: number): void {
    const index = PHASES.indexOf(name as PhaseName);
    if (index < 0) return;
    this.phases[index]!++;
    this.#lastAtMs[index] = nowMs;
  }

  /** A run begins with these. */
  begin(faults: readonly FaultName[], behaviours: readonly BehaviourName[]): void {
    for (const name of faults) this.drawn[FAULTS.indexOf(name)]!++;
    for (const name of behaviours) this.drawn[FAULTS.length + BEHAVIOURS.indexOf(name)]!++;
  }

  /** A fault strikes now. */
  fault(name: FaultName, nowMs: number): void {
    const row = FAULTS.indexOf(name);
    this.faults[row]!++;
    for (let column = 0; column < PHASES.length; column++) {
      if (nowMs - this.#lastAtMs[column]! <= PHASE_LINGERS_MS) {
        this.hits[row * PHASES.length + column]!++;
      }
    }
  }

  /** Adds the counters of another run. */
  add(other: CoverageCounts): void {
    other.hits.forEach((n, i) => {
      this.hits[i]! += n;
    });
    other.faults.forEach((n, i) => {
      this.faults[i]! += n;
    });
    other.phases.forEach((n, i) => {
      this.phases[i]! += n;
    });
    other.drawn.forEach((n, i) => {
      this.drawn[i]! += n;
    });
  }

  get counts(): CoverageCounts {
    const { hits, faults, phases, drawn } = this;
    return { hits: [...hits], faults: [...faults], phases: [...phases], drawn: [...drawn] };
  }

  /** Faults and phases of this run's `enabled` faults that never met: `fault×phase`. */
  missing(enabled: readonly FaultName[]): string[] {
    const missing: string[] = [];
    for (const fault of enabled) {
      for (let column = 0; column < PHASES.length; column++) {
        if (this.hits[FAULTS.indexOf(fault) * PHASES.length + column] === 0) {
          missing.push(`${fault}×${PHASES[column]}`);
        }
      }
    }
    return missing;
  }

  /** A table for people: faults down, phases across. */
  table(): string {
    const width = 9;
    const cell = (text: string | number) =>
      String(text)
        .slice(0, width - 1)
        .padStart(width);
    const lines = [`${'fault'.padEnd(18)}${cell('struck')}${PHASES.map(cell).join('')}`];
    lines.push(`${'(reports)'.padEnd(18)}${cell('')}${[...this.phases].map(cell).join('')}`);
    FAULTS.forEach((fault, row) => {
      if (this.faults[row] === 0) return;
      const cells = PHASES.map((_, column) => cell(this.hits[row * PHASES.length + column]!));
      lines.push(`${fault.padEnd(18)}${cell(this.faults[row]!)}${cells.join('')}`);
    });
    const runs = [...FAULTS, ...BEHAVIOURS].map((name, i) => `${name} ${this.drawn[i]}`);
    lines.push(`runs with: ${runs.filter((_, i) => this.drawn[i]! > 0).join(', ')}`);
    return lines.join('\n');
  }
}

/** {@link Coverage} as plain data, to cross a thread boundary. */
export interface CoverageCounts {
  readonly hits: readonly number[];
  readonly faults: readonly number[];
  readonly phases: readonly number[];
  readonly drawn: readonly number[];
}
