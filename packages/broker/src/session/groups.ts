/**
 * Messages of a shard that wait for a member of a group, or are under way to one, in log order.
 *
 * A group is the sessions that subscribe to one Shared Subscription; its key is the whole Topic Filter,
 * `$share/name/filter`. A message of effective QoS 2 is *bound* before it leaves: the BIND that names its
 * member is its identity at the receiver. A bind that was refused is followed by another one, with an
 * identity of its own.
 */
import type { Reader, Writer } from '../bytes.ts';
import { list, nullable, record, str, varint } from '../fields.ts';

/** The connection of a session that ends with it. */
export interface BoundConnection {
  readonly node: string;
  readonly bootEpoch: number;
  readonly connection: number;
}

/** Which session a message of effective QoS 2 is for. */
export interface Bound {
  /** Index of the BIND: the identity of the message at its member. */
  readonly by: number;
  readonly clientId: string;
  /** Where it is, of a session that ends with its connection; null for a stored one. */
  readonly to: BoundConnection | null;
}

interface Waiting {
  readonly bytes: number;
  bound: Bound | null;
}

const address = nullable(
  record<BoundConnection>({ node: str, bootEpoch: varint, connection: varint }),
);
const binding = nullable(record<Bound>({ by: varint, clientId: str, to: address }));
const waitingList = list(
  record<Waiting & { readonly index: number }>({ index: varint, bytes: varint, bound: binding }),
);

/** The messages of one group in one shard. */
export class GroupQueue {
  readonly key: string;
  /** By log index, ascending. */
  readonly messages = new Map<number, Waiting>();
  bytes = 0;

  constructor(key: string) {
    this.key = key;
  }
}

export class GroupQueues {
  readonly byKey = new Map<string, GroupQueue>();
  /** Indexes of the BINDs that hold, ascending. */
  readonly #binds = new Set<number>();

  get(key: string): GroupQueue | undefined {
    return this.byKey.get(key);
  }

  push(key: string, index: number, bytes: number): void {
    let queue = this.byKey.get(key);
    if (!queue) {
      queue = new GroupQueue(key);
      this.byKey.set(key, queue);
    }
    queue.messages.set(index, { bytes, bound: null });
    queue.bytes += bytes;
  }

  /** @param bound null: its member refused it, and it is any member's again */
  bind(key: string, index: number, bound: Bound | null): void {
    const waiting = this.byKey.get(key)?.messages.get(index);
    if (!waiting) return;
    if (waiting.bound) this.#binds.delete(waiting.bound.by);
    waiting.bound = bound;
    if (bound) this.#binds.add(bound.by);
  }

  /** The message is a member's, or nobody's any more. @returns its bytes, −1 if it was not here */
  settle(key: string, index: number): number {
    const queue = this.byKey.get(key);
    const waiting = queue?.messages.get(index);
    if (!queue || !waiting) return -1;
    queue.messages.delete(index);
    queue.bytes -= waiting.bytes;
    if (waiting.bound) this.#binds.delete(waiting.bound.by);
    if (queue.messages.size === 0) this.byKey.delete(key);
    return waiting.bytes;
  }

  /** The oldest BIND that holds; `none` if there is none. */
  lowestBind(none: number): number {
    for (const by of this.#binds) return by;
    return none;
  }

  /** Log index and bytes of every message, once for each group that it waits for. */
  *messages(): Generator<readonly [index: number, bytes: number]> {
    for (const { messages } of this.byKey.values())
      for (const [index, { bytes }] of messages) yield [index, bytes];
  }

  clear(): void {
    this.byKey.clear();
    this.#binds.clear();
  }

  write(w: Writer): void {
    w.list([...this.byKey.values()], (o, { key, messages }) => {
      o.str(key);
      waitingList.write(
        o,
        [...messages].map(([index, waiting]) => ({ index, ...waiting })),
      );
    });
  }

  read(r: Reader): void {
    const binds: number[] = [];
    for (const [key, waiting] of r.list((i) => [i.str(), waitingList.read(i)] as const)) {
      for (const { index, bytes, bound } of waiting) {
        this.push(key, index, bytes);
        if (!bound) continue;
        this.byKey.get(key)!.messages.get(index)!.bound = bound;
        binds.push(bound.by);
      }
    }
    for (const by of binds.sort((a, b) => a - b)) this.#binds.add(by);
  }
}

/** A message that a session was given as a member of a group, and that it left unsent when it ended. */
export interface Returned {
  readonly group: string;
  readonly messageIndex: number;
  readonly bytes: number;
}

/** Messages that go back to their groups; by numbers that only rise, which are their identities. */
export class ReturnedMessages {
  readonly byNumber = new Map<number, Returned>();
  #next = 1;

  /** @returns its number */
  add(returned: Returned): number {
    const number = this.#next++;
    this.byNumber.set(number, returned);
    return number;
  }

  take(number: number): Returned | undefined {
    const returned = this.byNumber.get(number);
    this.byNumber.delete(number);
    return returned;
  }

  /** The oldest number that is not taken. */
  get low(): number {
    for (const number of this.byNumber.keys()) return number;
    return this.#next;
  }

  clear(): void {
    this.byNumber.clear();
    this.#next = 1;
  }

  write(w: Writer): void {
    w.varint(this.#next);
    w.list([...this.byNumber], (o, [number, { group, messageIndex, bytes }]) => {
      o.varint(number);
      o.str(group);
      o.varint(messageIndex);
      o.varint(bytes);
    });
  }

  read(r: Reader): void {
    this.#next = r.varint();
    for (const [number, returned] of r.list(
      (i) => [i.varint(), { group: i.str(), messageIndex: i.varint(), bytes: i.varint() }] as const,
    ))
      this.byNumber.set(number, returned);
  }
}
