import { describeMessage, type StampedEvent } from './history.ts';

/** Times from a kill, in ms; undefined where the thing did not happen before the next kill. */
export interface KillFigures {
  /** First acknowledgement of a message that was first sent after the kill. */
  readonly firstAckMs: number | undefined;
  /** First delivery, to any session, of a message that was first sent after the kill. */
  readonly firstMessageMs: number | undefined;
  /** The last of the clients that were connected to the killed node has a CONNACK again. */
  readonly reconnectedMs: number | undefined;
  /** First new message to a subscriber that was connected to the killed node. */
  readonly movedMessageMs: number | undefined;
}

/** Watches the history from a kill onward for how long clients are without the cluster. */
export class KillWatch {
  #killedAtMs = 0;
  #sentAfter = new Set<string>();
  #waiting = new Set<string>();
  #moved = new Set<string>();
  #watching = false;
  #firstAckMs: number | undefined;
  #firstMessageMs: number | undefined;
  #reconnectedMs: number | undefined;
  #movedMessageMs: number | undefined;

  /** @param moved clients that were connected to what is being killed */
  begin(atMs: number, moved: readonly string[]): void {
    this.#killedAtMs = atMs;
    this.#sentAfter = new Set();
    this.#waiting = new Set(moved);
    this.#moved = new Set(moved);
    this.#watching = true;
    this.#firstAckMs = undefined;
    this.#firstMessageMs = undefined;
    this.#reconnectedMs = undefined;
    this.#movedMessageMs = undefined;
  }

  /** Whether every time that can be expected has been taken. */
  get complete(): boolean {
    const served = this.#firstAckMs !== undefined && this.#firstMessageMs !== undefined;
    return served && this.#waiting.size === 0;
  }

  end(): KillFigures {
    this.#watching = false;
    return {
      firstAckMs: this.#firstAckMs,
      firstMessageMs: this.#firstMessageMs,
      reconnectedMs: this.#reconnectedMs,
      movedMessageMs: this.#movedMessageMs,
    };
  }

  observe(event: StampedEvent): void {
    if (!this.#watching) return;
    const sinceMs = event.atMs - this.#killedAtMs;
    switch (event.type) {
      case 'publish-sent':
        if (!event.dup && this.#firstMessageMs === undefined) {
          this.#sentAfter.add(describeMessage(event.message));
        }
        return;
      case 'publish-acked':
        if (this.#sentAfter.has(describeMessage(event.message))) this.#firstAckMs ??= sinceMs;
        return;
      case 'connected':
        if (this.#waiting.delete(event.client) && this.#waiting.size === 0) {
          this.#reconnectedMs = sinceMs;
        }
        return;
      case 'received':
        if (!event.isNew) return;
        if (this.#sentAfter.has(describeMessage(event.message))) this.#firstMessageMs ??= sinceMs;
        if (this.#moved.has(event.client)) this.#movedMessageMs ??= sinceMs;
        return;
      default:
        return;
    }
  }
}
