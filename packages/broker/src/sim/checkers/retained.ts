import type { Delivery, Message } from '../history.ts';
import { Checker, type World } from './checker.ts';

/**
 * Invariant 9: once all is quiet, a retained read equals the last acknowledged write, at every node.
 *
 * A write may be the last if no other write began after it was acknowledged. A write that was never
 * acknowledged may have taken effect or not. The simulation reads each topic through every node at
 * the end and hands the answers to {@link RetainedReads.read}.
 */
export class RetainedReads extends Checker {
  readonly invariant = '9 retained reads';
  readonly #reads = new Map<string, { node: string; id: number | undefined }[]>();

  /** Topics that were ever written with retain. */
  topics(): string[] {
    const topics = new Set<string>();
    for (const message of this.history.messages) if (message.retain) topics.add(message.topic);
    return [...topics];
  }

  /** What a fresh SUBSCRIBE at `node` returned for `topic`; undefined for nothing. */
  read(node: string, topic: string, id: number | undefined): void {
    const reads = this.#reads.get(topic);
    if (reads === undefined) this.#reads.set(topic, [{ node, id }]);
    else reads.push({ node, id });
  }

  override onDelivered(delivery: Delivery): void {
    const { message } = delivery;
    if (!delivery.retain || message === undefined) return;
    if (!message.retain) {
      this.fail(`${delivery.session.client} got #${message.id} as retained, which was not`);
    }
  }

  override finish(_world: World): void {
    for (const [topic, reads] of this.#reads) {
      const writes = this.history.messages.filter((m) => m.retain && m.topic === topic);
      const possible = new Set(possibleValues(writes));
      for (const { node, id } of reads) {
        if (possible.has(id)) continue;
        this.fail(
          `${topic} reads ${name(id)} at ${node}; possible: ${[...possible].map(name).join(', ')}`,
        );
      }
      const values = new Set(reads.map((r) => r.id));
      if (values.size > 1) {
        this.fail(`${topic} differs: ${reads.map((r) => `${r.node} ${name(r.id)}`).join(', ')}`);
      }
    }
  }
}

/** Ids of the writes that may be the last; undefined for a deletion, or for nothing yet. */
function possibleValues(writes: readonly Message[]): (number | undefined)[] {
  const acked = writes.filter((w) => w.ackedAtMs !== undefined);
  const possible = writes.filter((write) => {
    if (write.refused || write.qos === 0) return write.qos === 0;
    return !acked.some(
      (other) => other.sentAtMs > (write.ackedAtMs ?? Number.POSITIVE_INFINITY) && other !== write,
    );
  });
  const values = possible.map((write) => (write.deletion ? undefined : write.id));
  if (acked.length === 0) values.push(undefined);
  return values;
}

function name(id: number | undefined): string {
  return id === undefined ? 'nothing' : `#${id}`;
}
