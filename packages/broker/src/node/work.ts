/**
 * Long work in slices, so that no request holds up a turn: heartbeats and other clients come
 * between. Tasks take turns; what a turn may spend is counted, not timed, so that a simulation repeats.
 */

/** One slice: spends about `units` and says whether the task is done. */
export type Task = (units: number) => boolean;

/** Units that all tasks spend in one turn; a unit is one or two microseconds. */
const TURN_UNITS = 2000;
const SLICE_UNITS = 250;
/** Units that count for a task that is done at once. */
const SMALL_UNITS = 25;

/** Tasks done one after another, together as one task of the node: those of few units some in a slice. */
export class Line {
  readonly #tasks: { readonly task: Task; readonly units: number }[] = [];
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  /** @param units about what the whole task spends; by default more than a slice */
  add(task: Task, units = SLICE_UNITS): void {
    this.#tasks.push({ task, units });
    if (this.#tasks.length === 1) this.#work.later((units) => this.#run(units));
  }

  #run(units: number): boolean {
    for (let left = units; left > 0; ) {
      const first = this.#tasks[0];
      if (!first) return true;
      if (!first.task(left)) return false;
      this.#tasks.shift();
      left -= first.units;
      if (this.#work.exhausted) break;
    }
    return this.#tasks.length === 0;
  }
}

export class Work {
  readonly #tasks: Task[] = [];
  #next: Task[] = [];
  readonly #schedule: () => void;
  #spent = 0;

  /** @param schedule asks for {@link run} in the next turn */
  constructor(schedule: () => void) {
    this.#schedule = schedule;
  }

  get waiting(): number {
    return this.#tasks.length + this.#next.length;
  }

  /** What was done outside of tasks counts, too. */
  spend(units: number): void {
    this.#spent += units;
    this.#schedule();
  }

  /** This turn has no time left for what can wait. */
  get exhausted(): boolean {
    return this.#spent >= TURN_UNITS;
  }

  /** Begins at once if this turn has time left, and goes on in the next ones. */
  start(task: Task): void {
    if (this.#tasks.length === 0 && this.#spent < TURN_UNITS) {
      this.#spent += SMALL_UNITS;
      this.#schedule();
      if (task(SLICE_UNITS)) return;
      this.#spent += SLICE_UNITS - SMALL_UNITS;
    }
    this.later(task);
  }

  /** Begins in the next turn, not before. */
  next(task: Task): void {
    this.#next.push(task);
    this.#schedule();
  }

  /** Begins in this turn's round or a later one. */
  later(task: Task): void {
    this.#tasks.push(task);
    this.#schedule();
  }

  /** Once in a turn. */
  run(): void {
    this.#spent = 0;
    const tasks = this.#tasks;
    tasks.push(...this.#next);
    this.#next = [];
    // What is added meanwhile waits for the next turn, unless there is time for more rounds.
    while (tasks.length > 0 && this.#spent < TURN_UNITS) {
      const round = tasks.splice(0, Math.ceil((TURN_UNITS - this.#spent) / SLICE_UNITS));
      for (const task of round) {
        this.#spent += SLICE_UNITS;
        if (!task(SLICE_UNITS)) tasks.push(task);
      }
    }
    if (this.waiting > 0) this.#schedule();
  }
}
