/**
 * What is asked of a copy, or told to it, while its machine is rebuilt: a sender says it once, and would wait
 * for seconds before it tries again. The last of each kind is taken when the machine is there.
 */
import type { ShardMessage } from './message.ts';
import type { CopyId } from './view.ts';

/** `append` is not among them: its leader hears how far the log goes, and sends what follows. */
const KINDS: ReadonlySet<ShardMessage['type']> = new Set(['prepare', 'record', 'probe', 'learn']);

export class Postponed {
  readonly #messages = new Map<ShardMessage['type'], { from: CopyId; message: ShardMessage }>();
  readonly #take: (from: CopyId, message: ShardMessage) => void;

  constructor(take: (from: CopyId, message: ShardMessage) => void) {
    this.#take = take;
  }

  keep(from: CopyId, message: ShardMessage): void {
    const { type } = message;
    if (!KINDS.has(type)) return;
    // The order is that in which they came.
    this.#messages.delete(type);
    this.#messages.set(type, { from, message });
  }

  /** The machine has been rebuilt. */
  onRebuilt(): void {
    const messages = [...this.#messages.values()];
    this.#messages.clear();
    for (const { from, message } of messages) this.#take(from, message);
  }
}
