/** Reading retained messages of the whole cluster: one question per node that leads shards. */
import { Reader, type Writer } from '../bytes.ts';
import { shardOf } from '../placement/hash.ts';
import { type Message, readMessage, readOperation, writeMessage } from '../session/operation.ts';
import type { ShardState } from '../session/shard-state.ts';
import { entryKey } from '../shard/keys.ts';
import { decodeEntry } from '../shard/log.ts';
import type { Replica } from '../shard/replica.ts';
import type { RetainedItem } from './context.ts';
import { Wire } from './wire.ts';

/** Retained messages that one SUBSCRIBE gets at the most. */
export const RETAINED_PER_SUBSCRIBE_MAX = 100_000;

/** Committed retained messages of one shard that match, in any order. */
export function readRetained(
  replica: Replica,
  state: ShardState,
  filters: readonly string[],
  after: string,
  done: (items: RetainedItem[]) => void,
): void {
  const { shard } = replica;
  const found = new Map<string, number>();
  for (const filter of filters) {
    state.retained.topics.match(filter, (topic) => {
      if (topic > after && found.size < RETAINED_PER_SUBSCRIBE_MAX)
        found.set(topic, state.retained.indexOf(topic));
    });
  }
  if (found.size === 0) return done([]);
  const indexes = [...found.values()];
  const items: RetainedItem[] = [];
  const missing: number[] = [];
  for (const index of indexes) {
    const entry = replica.log.get(index);
    const message = entry && messageOf(entry.operation);
    if (message) items.push({ shard, index, message });
    else missing.push(index);
  }
  if (missing.length === 0) return done(items);
  const keys = missing.map((index) => entryKey(shard, index));
  replica.host.store.getMany(keys, (values) => {
    values.forEach((value, i) => {
      // Replaced meanwhile and deleted: the newer one comes live.
      const message = value && messageOf(decodeEntry(value).operation);
      if (message) items.push({ shard, index: missing[i]!, message });
    });
    done(items);
  });
}

function messageOf(operation: Uint8Array): Message | null {
  const op = readOperation(new Reader(operation)).operation;
  return op.type === 'retain' ? op.message : null;
}

/** One question under way. */
interface Query {
  readonly filters: readonly string[];
  readonly after: string;
  /** Shards of which the answer is still to come. */
  readonly shards: Set<number>;
  readonly items: RetainedItem[];
  readonly done: (items: readonly RetainedItem[]) => void;
  askedMs: number;
}

export interface QueryHost {
  nowMs(): number;
  leader(shard: number): string;
  /** Reads at this node's own replica; false if it does not lead the shard. */
  readOwn(
    shard: number,
    filters: readonly string[],
    after: string,
    done: (items: RetainedItem[]) => void,
  ): boolean;
  to(node: string): Writer | null;
  readonly self: string;
  readonly shardCount: number;
}

const RETRY_MS = 300;

export class RetainedQueries {
  readonly #host: QueryHost;
  #next = 1;
  readonly #queries = new Map<number, Query>();

  constructor(host: QueryHost) {
    this.#host = host;
  }

  /** Reads all that match, ordered by topic, those after `after` only. */
  ask(
    filters: readonly string[],
    after: string,
    done: (items: readonly RetainedItem[]) => void,
  ): void {
    const id = this.#next++;
    const query: Query = {
      filters,
      after,
      shards: this.#shardsOf(filters),
      items: [],
      done,
      askedMs: 0,
    };
    this.#queries.set(id, query);
    this.#send(id, query);
  }

  /** The shards that may hold a match: of a filter without wildcards its own. */
  #shardsOf(filters: readonly string[]): Set<number> {
    const { shardCount } = this.#host;
    const exact = filters.every((filter) => !/[+#]/.test(filter));
    return new Set(
      exact
        ? filters.map((filter) => shardOf(filter, shardCount))
        : Array.from({ length: shardCount }, (_, shard) => shard),
    );
  }

  /** Asks the leaders of the shards that have not answered. */
  #send(id: number, query: Query): void {
    query.askedMs = this.#host.nowMs();
    const byNode = new Map<string, number[]>();
    for (const shard of query.shards) {
      const leader = this.#host.leader(shard);
      const list = byNode.get(leader);
      if (list) list.push(shard);
      else byNode.set(leader, [shard]);
    }
    for (const [node, shards] of byNode) {
      if (node === this.#host.self) {
        this.#answer(shards, query.filters, query.after, (answered, items) =>
          this.#take(id, answered, items),
        );
        continue;
      }
      const w = node === '' ? null : this.#host.to(node);
      if (!w) continue;
      w.u8(Wire.RetainedQuery);
      w.varint(id);
      w.list(shards, (o, shard) => o.varint(shard));
      w.list(query.filters, (o, f) => o.str(f));
      w.str(query.after);
    }
  }

  onQuery(from: string, r: Reader): void {
    const id = r.varint();
    const shards = r.list((i) => i.varint());
    const filters = r.list((i) => i.str());
    const after = r.str();
    this.#answer(shards, filters, after, (answered, items) => {
      const w = this.#host.to(from);
      if (w) writeAnswer(w, id, answered, items);
    });
  }

  /** Reads here; shards that this node does not lead are left out of `answered`. */
  #answer(
    shards: readonly number[],
    filters: readonly string[],
    after: string,
    done: (answered: number[], items: RetainedItem[]) => void,
  ): void {
    const answered: number[] = [];
    const items: RetainedItem[] = [];
    let left = 1;
    const one = () => {
      if (--left === 0) done(answered, items);
    };
    for (const shard of shards) {
      left++;
      const led = this.#host.readOwn(shard, filters, after, (found) => {
        answered.push(shard);
        for (const item of found) items.push(item);
        one();
      });
      if (!led) left--;
    }
    one();
  }

  onReply(r: Reader): void {
    const id = r.varint();
    const answered = r.list((i) => i.varint());
    const items = r.list((i) => ({
      shard: i.varint(),
      index: i.varint(),
      message: readMessage(i),
    }));
    this.#take(id, answered, items);
  }

  #take(id: number, answered: readonly number[], items: readonly RetainedItem[]): void {
    const query = this.#queries.get(id);
    if (!query) return;
    const fresh = new Set(answered.filter((shard) => query.shards.delete(shard)));
    for (const item of items) if (fresh.has(item.shard)) query.items.push(item);
    if (query.shards.size > 0) return;
    this.#queries.delete(id);
    query.items.sort((a, b) => (a.message.topic < b.message.topic ? -1 : 1));
    query.done(query.items);
  }

  tick(nowMs: number): void {
    for (const [id, query] of this.#queries)
      if (nowMs - query.askedMs >= RETRY_MS) this.#send(id, query);
  }
}

function writeAnswer(
  w: Writer,
  id: number,
  answered: readonly number[],
  items: readonly RetainedItem[],
): void {
  w.u8(Wire.RetainedReply);
  w.varint(id);
  w.list(answered, (o, shard) => o.varint(shard));
  w.list(items, (o, item) => {
    o.varint(item.shard);
    o.varint(item.index);
    writeMessage(o, item.message);
  });
}
