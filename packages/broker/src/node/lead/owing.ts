/**
 * Messages that the shard owes to all that match: QoS 2 messages received (RX2) and wills that fired.
 *
 * They go out in log order, and again from the oldest after a failover; receivers drop what they have
 * by (shard, index). What has arrived everywhere is marked by ENQD, batched.
 */
import { Reader } from '../../bytes.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { EVERY_SUBSCRIPTION, type Message, type Rx2Id } from '../../session/message.ts';
import { type Operation, readOperation } from '../../session/operation.ts';
import type { Owed } from '../../session/state-observer.ts';
import { entryKey } from '../../shard/keys.ts';
import { readBack } from '../../shard/log.ts';
import type { Lead } from './parts.ts';

/** @param refused every queue that the message matched is full */
type Arrived = (refused: boolean) => void;

interface Item extends Owed {
  readonly index: number;
  readonly waiting: Arrived[];
  done: boolean;
}

export class Owing {
  readonly #leader: Lead;
  readonly #items = new Map<number, Item>();
  /** Not sent yet, in log order. */
  #queue: Item[] = [];
  #reading = false;
  #arrived: number[] = [];
  /** Raised when the leader stops, so that late answers are not taken for the next term's. */
  #term = 0;

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  start(): void {
    for (const [index, owed] of this.#leader.state.owed) this.add(index, owed);
    this.committed();
  }

  stop(): void {
    this.#term++;
    this.#items.clear();
    this.#queue = [];
    this.#arrived = [];
    this.#reading = false;
  }

  add(index: number, owed: Owed): void {
    const item: Item = { ...owed, index, waiting: [], done: false };
    this.#items.set(index, item);
    this.#queue.push(item);
    if (owed.will) {
      this.#leader.node.counters.willsFired++;
      this.#leader.node.env.trace?.('will');
      // It goes out once the operation that fired it is committed.
      this.#leader.afterCommit(() => this.committed());
    }
  }

  /** Runs `run` once the message has arrived everywhere. */
  whenDone(index: number, run: Arrived): void {
    const item = this.#items.get(index);
    if (!item || item.done) this.#leader.afterCommit(() => run(false));
    else item.waiting.push(run);
  }

  /** Sends what is committed. */
  committed(): void {
    while (!this.#reading) {
      const item = this.#queue[0];
      if (!item || item.index > this.#leader.replica.commit) return;
      const entry = this.#leader.replica.log.get(item.messageIndex);
      if (!entry) return this.#read(item);
      this.#queue.shift();
      this.#drive(item, entry.operation);
    }
  }

  #read(item: Item): void {
    this.#reading = true;
    const term = this.#term;
    const { node, shard, replica } = this.#leader;
    node.env.store.getMany([entryKey(shard, item.messageIndex)], ([value]) => {
      if (term !== this.#term) return;
      this.#reading = false;
      this.#queue.shift();
      const entry = value && readBack(value);
      if (entry) this.#drive(item, entry.operation);
      else replica.corrupt('an owed message cannot be read');
      this.committed();
    });
  }

  #drive(item: Item, bytes: Uint8Array): void {
    const term = this.#term;
    const { operation } = readOperation(new Reader(bytes));
    const done = (refused: boolean) => {
      if (term === this.#term) this.#onArrived(item, operation, refused);
    };
    const message = messageOf(operation, this.#leader.node.env.wallMs());
    if (!message) return done(false);
    const id: Rx2Id = { shard: this.#leader.shard, index: item.index, low: this.#low() };
    // A Will is published when it fires, not when the client sent it: it matches every subscription of that time.
    const published = item.will ? { ...message, hlc: EVERY_SUBSCRIPTION } : message;
    this.#leader.node.router.publish(published, id, {
      wanted: true,
      slowed: () => {},
      published: (reasonCode) => done(reasonCode === ReasonCode.QuotaExceeded),
    });
  }

  /** Oldest index that is not marked ENQD. */
  #low(): number {
    const { owed } = this.#leader.state;
    let low = this.#leader.replica.log.end + 1;
    for (const index of owed.keys()) if (index < low) low = index;
    return low;
  }

  #onArrived(item: Item, op: Operation, refused: boolean): void {
    item.done = true;
    if (refused && op.type === 'rx2') this.#leader.onRefused(item.index, op.clientId, op.packetId);
    this.#items.delete(item.index);
    this.#arrived.push(item.index);
    for (const run of item.waiting) run(refused);
  }

  tick(): void {
    if (this.#arrived.length === 0) return;
    const indexes = this.#arrived;
    this.#arrived = [];
    this.#leader.appendOwn(() => ({ type: 'enqd', indexes }));
  }
}

/** The message of an RX2, or the will of an OPEN, which is published now. */
function messageOf(op: Operation, wallMs: number): Message | null {
  if (op.type === 'rx2') return op.message;
  if (op.type !== 'open' || !op.will) return null;
  const { message, expirySeconds } = op.will;
  return expirySeconds < 0 ? message : { ...message, expiresAtMs: wallMs + expirySeconds * 1000 };
}
