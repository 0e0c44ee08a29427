/** Runs `flush` once at the end of the turn in which it was asked for, however often it was asked for. */
export class TurnEnd {
  readonly #flush: () => void;
  #due = false;

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  ask(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      // What the flush itself asks for belongs to the next turn.
      this.#due = false;
      this.#flush();
    });
  }
}
