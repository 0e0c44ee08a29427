/** What members saw of each other, and what follows from it; the same for real and simulated ones. */
import type { MemberState } from '@shoal/swim';

/** What was done to the members, and when. */
export interface Schedule {
  /** Names that were killed, at `killMs`. */
  readonly killed: readonly string[];
  readonly killMs: number;
  /** Names that were paused at `pauseMs`, for how long. */
  readonly paused: readonly { readonly name: string; readonly durationMs: number }[];
  readonly pauseMs: number;
}

export interface KillFigures {
  /** Until the first member held it to be faulty; null if none did. */
  readonly firstMs: number | null;
  /** Until every survivor did; null if one never did. */
  readonly allMs: number | null;
}

export interface PauseFigures {
  readonly name: string;
  readonly durationMs: number;
  /** Members that suspected it, and that called it faulty. */
  readonly suspectedBy: number;
  readonly faultyBy: number;
  /** From its waking until all held it to be alive; 0 if all did then. */
  readonly backMs: number;
}

export interface Figures {
  readonly kills: readonly KillFigures[];
  readonly pauses: readonly PauseFigures[];
  /** (observer, member) pairs in which a member that was left alone was called faulty. */
  readonly falsePositives: number;
}

interface Observation {
  readonly atMs: number;
  readonly observer: string;
  readonly name: string;
  readonly state: MemberState;
}

export class Observations {
  readonly #all: Observation[] = [];
  /** observer → name → state. */
  readonly #now = new Map<string, Map<string, MemberState>>();

  record(observation: Observation): void {
    this.#all.push(observation);
    let table = this.#now.get(observation.observer);
    if (table === undefined) {
      table = new Map();
      this.#now.set(observation.observer, table);
    }
    table.set(observation.name, observation.state);
  }

  /** Whether each of these sees each of those in this state. */
  allSee(
    state: MemberState,
    observers: readonly string[],
    names: readonly string[] = observers,
  ): boolean {
    return observers.every((observer) =>
      names.every((name) => this.#now.get(observer)?.get(name) === state),
    );
  }

  /** @param survivors names of those that were neither killed nor paused */
  figures({ killed, killMs, paused, pauseMs }: Schedule, survivors: readonly string[]): Figures {
    const well = new Set(survivors);
    const seenBy = (name: string, state: MemberState, fromMs: number): Map<string, number> => {
      const first = new Map<string, number>();
      for (const each of this.#all) {
        if (each.name !== name || each.state !== state || each.atMs < fromMs) continue;
        if (well.has(each.observer) && !first.has(each.observer))
          first.set(each.observer, each.atMs);
      }
      return first;
    };
    const kills = killed.map((name) => {
      const times = [...seenBy(name, 'faulty', killMs).values()].map((atMs) => atMs - killMs);
      return {
        firstMs: times.length === 0 ? null : Math.min(...times),
        allMs: times.length < well.size ? null : Math.max(...times),
      };
    });
    const pauses = paused.map(({ name, durationMs }) => {
      const faulty = seenBy(name, 'faulty', pauseMs);
      const backMs = Math.max(
        0,
        ...[...faulty].map(
          ([observer, atMs]) => this.#aliveAgainMs(observer, name, atMs) - pauseMs - durationMs,
        ),
      );
      const suspectedBy = seenBy(name, 'suspect', pauseMs).size;
      return { name, durationMs, suspectedBy, faultyBy: faulty.size, backMs };
    });
    const falsePositives = new Set(
      this.#all
        .filter((each) => each.state === 'faulty' && well.has(each.name) && well.has(each.observer))
        .map((each) => `${each.observer} ${each.name}`),
    ).size;
    return { kills, pauses, falsePositives };
  }

  #aliveAgainMs(observer: string, name: string, afterMs: number): number {
    const back = this.#all.find(
      (each) =>
        each.observer === observer &&
        each.name === name &&
        each.state === 'alive' &&
        each.atMs > afterMs,
    );
    return back?.atMs ?? Number.POSITIVE_INFINITY;
  }
}
