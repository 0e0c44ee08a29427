/** Who could reach whom, and when not: judged by the wires and the processes, not by what these believe. */

/** Nodes find out that they are apart, or together again, within this time. */
const KNOWN_AFTER_MS = 4000;

interface Apart {
  readonly fromMs: number;
  /** When it was seen last. */
  toMs: number;
}

/** What is looked at: nodes that are there, and the pairs of them that reach each other directly. */
export interface Wires {
  names(): readonly string[];
  /** Passes on what it is told: its process runs. */
  passes(name: string): boolean;
  severed(a: string, b: string): boolean;
}

/**
 * Nodes are apart while neither they nor any chain of nodes between them connects them: on different sides
 * of a split. One that is only hung, or has lost some of its wires, is on the side of those who reach it.
 */
export class Sides {
  readonly #wires: Wires;
  readonly #apart = new Map<string, Apart[]>();
  #lookedMs = 0;

  constructor(wires: Wires) {
    this.#wires = wires;
  }

  /** To be called again and again: what is shorter than the pause between is not seen. */
  look(nowMs: number): void {
    const names = this.#wires.names();
    for (const a of names) {
      const reached = this.sideOf(a);
      for (const b of names) {
        if (a >= b || reached.has(b)) continue;
        const list = this.#apart.get(`${a}|${b}`) ?? [];
        const last = list.at(-1);
        if (last !== undefined && last.toMs >= this.#lookedMs) last.toMs = nowMs;
        else list.push({ fromMs: nowMs, toMs: nowMs });
        this.#apart.set(`${a}|${b}`, list);
      }
    }
    this.#lookedMs = nowMs;
  }

  /** The node, and all that it reaches directly or by way of others, as it is now. */
  sideOf(from: string): ReadonlySet<string> {
    const names = this.#wires.names();
    const reached = new Set([from]);
    const next = [from];
    for (let at = next.pop(); at !== undefined; at = next.pop()) {
      if (at !== from && !this.#wires.passes(at)) continue;
      for (const to of names) {
        if (reached.has(to) || this.#wires.severed(at, to)) continue;
        reached.add(to);
        next.push(to);
      }
    }
    return reached;
  }

  /**
   * Whether what one node acknowledged at `atMs` need not be known to the other at `laterMs`: they were
   * apart then, and have not been together for long since.
   */
  exempt(a: string, b: string, atMs: number, laterMs: number): boolean {
    const list = this.#apart.get(a < b ? `${a}|${b}` : `${b}|${a}`) ?? [];
    return list.some(
      ({ fromMs, toMs }) =>
        fromMs <= atMs && toMs + KNOWN_AFTER_MS >= atMs && laterMs <= toMs + KNOWN_AFTER_MS,
    );
  }
}
