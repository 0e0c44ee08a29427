/**
 * Retained messages of the shards led here, for readers on any node: page by page.
 *
 * A reader asks once for its filters and then for page after page; between two pages there is only
 * where to go on. A page is read under the leader lease of every shard asked for, so that what was
 * acknowledged before it began is in it; a shard that is led elsewhere by now makes the answer `moved`,
 * and the reader asks there.
 */
import { BytesError, Reader } from '../../bytes.ts';
import { FilterSet } from '../../mqtt/filter-set.ts';
import type { TopicIndex } from '../../mqtt/topic-index.ts';
import { shardOf } from '../../placement/hash.ts';
import type { Log, Store } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import { readOperation } from '../../session/operation.ts';
import { entryKey } from '../../shard/keys.ts';
import { decodeEntry } from '../../shard/log.ts';
import type { Page, PageStatus, RetainedQuestion } from '../link/retained-page.ts';
import type { Work } from '../work.ts';
import type { LeaderHere } from './route-port.ts';

/** Readings of retained messages answered at once; beyond, readers have to wait. */
export const RETAINED_ANSWERS_MAX = 10_000;
/** Bytes of the filters of all readings that are answered; beyond, readers have to wait. */
export const RETAINED_FILTER_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of retained messages in a page that a reader may ask for, and one message more. */
export const RETAINED_PAGE_BYTES_MAX = 1024 * 1024;
/** Messages of a page that are looked for, then read in the order in which the store has them. */
const BATCH_MAX = 2048;
const BATCH_FIRST = 4;
/** Messages read from the store at once. */
const READ_MAX = 256;
/** What a filter costs beside its characters. */
const FILTER_BYTES = 150;

export interface AnswersHost {
  shardCount(): number;
  /** Of every shard held here. */
  readonly topics: TopicIndex;
  readonly store: Store;
  readonly work: Work;
  readonly log: Log;
  /** What leads the shard here; null if it is led elsewhere. */
  leader(shard: number): LeaderHere | null;
  /** Print of the shards led here. */
  ledPrint(): number;
  /** So much waits for the node that pages should, too. */
  full(peer: string): boolean;
  /** The leader leases of these shards hold; of all that are led here with null. */
  confirmed(shards: Iterable<number> | null): boolean;
}

type Reply = (page: Page) => void;

/** A topic found, and where its message is. */
interface Found {
  readonly leader: LeaderHere;
  readonly index: number;
}

interface PageUnderWay {
  readonly bytesMax: number;
  readonly reply: Reply;
  bytes: number;
  items: Message[];
  /** In ascending order of topics, still to be read. */
  found: Found[];
  /** Where the search for them began. */
  foundFrom: string;
}

/** Messages found, on their way from the store. */
interface Fetch {
  readonly answer: Answer;
  readonly page: PageUnderWay;
  readonly found: readonly Found[];
  /** Places in `found`, as the store orders their records: neighbours there cost one block. */
  readonly order: readonly number[];
  /** By place in `found`; null: deleted meanwhile. */
  readonly messages: (Message | null)[];
  /** The next one in `order`. */
  at: number;
  /** Of the records read so far. */
  bytes: number;
  /** What comes next is not committed yet. */
  readonly blocked: boolean;
}

interface Answer {
  readonly peer: string;
  readonly id: number;
  readonly filters: FilterSet;
  readonly filterBytes: number;
  readonly shards: ReadonlySet<number> | null;
  readonly print: number;
  /** Topics from here on are still to be read. */
  from: string | undefined;
  /** Null between two pages. */
  page: PageUnderWay | null;
  /** Messages to read next. */
  batch: number;
}

const NONE: readonly Message[] = [];

export class RetainedAnswers {
  readonly #host: AnswersHost;
  readonly #answers = new Map<string, Map<number, Answer>>();
  /** Waiting for a lease, a commit, or room on a link. */
  #parked: Answer[] = [];
  #count = 0;
  #filterBytes = 0;

  constructor(host: AnswersHost) {
    this.#host = host;
  }

  get open(): number {
    return this.#count;
  }

  /** The next page. @param question null to go on with the one asked under this id */
  ask(
    peer: string,
    id: number,
    question: RetainedQuestion | null,
    pageBytes: number,
    reply: Reply,
  ): void {
    let answer = this.#answers.get(peer)?.get(id);
    if (question) {
      if (answer) this.#drop(answer);
      answer = this.#admit(peer, id, question);
      if (!answer) return reply({ status: 'busy', items: NONE });
    }
    if (!answer) return reply({ status: 'unknown', items: NONE });
    const bytesMax = Math.min(pageBytes, RETAINED_PAGE_BYTES_MAX);
    answer.page = { bytesMax, bytes: 0, items: [], found: [], foundFrom: '', reply };
    this.#host.work.start((units) => this.#step(answer, units));
  }

  #admit(peer: string, id: number, question: RetainedQuestion): Answer | undefined {
    const { filters, shards, print, after } = question;
    let filterBytes = 0;
    for (const filter of filters) filterBytes += filter.length + FILTER_BYTES;
    while (
      this.#count >= RETAINED_ANSWERS_MAX ||
      (this.#count > 0 && this.#filterBytes + filterBytes > RETAINED_FILTER_BYTES_MAX)
    )
      if (!this.#forgetIdle()) return undefined;
    const answer: Answer = {
      peer,
      id,
      filters: new FilterSet(filters),
      filterBytes,
      shards: shards && new Set(shards),
      print,
      from: after === '' ? '' : `${after}\0`,
      page: null,
      batch: BATCH_FIRST,
    };
    const held = this.#answers.get(peer);
    if (held) held.set(id, answer);
    else this.#answers.set(peer, new Map([[id, answer]]));
    this.#count++;
    this.#filterBytes += filterBytes;
    return answer;
  }

  /** A reader whose question was forgotten asks it again. */
  #forgetIdle(): boolean {
    for (const answers of this.#answers.values())
      for (const answer of answers.values())
        if (!answer.page) {
          this.#drop(answer);
          return true;
        }
    return false;
  }

  #drop(answer: Answer): void {
    const held = this.#answers.get(answer.peer);
    if (held?.get(answer.id) !== answer) return;
    held.delete(answer.id);
    if (held.size === 0) this.#answers.delete(answer.peer);
    this.#count--;
    this.#filterBytes -= answer.filterBytes;
    answer.page = null;
  }

  /** The reader wants no more. */
  end(peer: string, id: number): void {
    const answer = this.#answers.get(peer)?.get(id);
    if (answer) this.#drop(answer);
  }

  /** The link to the reader's node is gone. */
  peerGone(peer: string): void {
    for (const answer of [...(this.#answers.get(peer)?.values() ?? [])]) this.#drop(answer);
  }

  tick(): void {
    const parked = this.#parked;
    if (parked.length === 0) return;
    this.#parked = [];
    for (const answer of parked) this.#host.work.later((units) => this.#step(answer, units));
  }

  // ---- reading ---------------------------------------------------------------------------------

  #step(answer: Answer, units: number): boolean {
    if (!answer.page) return true;
    if (!this.#leads(answer)) this.#finish(answer, 'moved');
    else if (answer.from === undefined) this.#finish(answer, 'complete');
    else if (!this.#host.full(answer.peer) && this.#host.confirmed(answer.shards))
      return this.#search(answer, answer.from, units);
    else this.#parked.push(answer);
    return true;
  }

  #leads({ shards, print }: Answer): boolean {
    if (!shards) return this.#host.ledPrint() === print;
    for (const shard of shards) if (!this.#host.leader(shard)) return false;
    return true;
  }

  /** One slice of the search, up to a batch of messages. @returns whether it waits for something */
  #search(answer: Answer, from: string, units: number): boolean {
    const { topics } = this.#host;
    const shardCount = this.#host.shardCount();
    const page = answer.page!;
    const { found } = page;
    if (found.length === 0) page.foundFrom = from;
    let uncommitted: string | undefined;
    const next = topics.search(answer.filters, from, units, (topic) => {
      const shard = shardOf(topic, shardCount);
      if (answer.shards && !answer.shards.has(shard)) return true;
      const leader = this.#host.leader(shard);
      if (!leader) return true;
      const index = leader.state.retained.indexOf(topic);
      if (index > leader.replica.commit) {
        // Read once it is certain to stay.
        uncommitted = topic;
        return false;
      }
      found.push({ leader, index });
      return found.length < answer.batch;
    });
    answer.from = uncommitted ?? next;
    const more = uncommitted === undefined && next !== undefined;
    if (more && found.length < answer.batch) return false;
    if (found.length > 0) this.#read(answer, uncommitted !== undefined);
    else if (uncommitted !== undefined) this.#wait(answer);
    else this.#finish(answer, 'complete');
    return true;
  }

  /** What there is goes out, or what stands in the way is waited for. */
  #wait(answer: Answer): void {
    if (answer.page!.items.length > 0) this.#finish(answer, 'page');
    else this.#parked.push(answer);
  }

  #read(answer: Answer, blocked: boolean): void {
    const page = answer.page!;
    const { found } = page;
    page.found = [];
    const order = found.map((_, place) => place);
    order.sort((a, b) => compare(found[a]!, found[b]!));
    const messages = new Array<Message | null>(found.length).fill(null);
    this.#fetch({ answer, page, found, order, messages, at: 0, bytes: 0, blocked });
  }

  /** Reads some records, and goes on with the next ones. */
  #fetch(fetch: Fetch): void {
    const { answer, page, found, order, messages } = fetch;
    if (answer.page !== page) return;
    const missing: number[] = [];
    for (const place of order.slice(fetch.at, fetch.at + READ_MAX)) {
      const { leader, index } = found[place]!;
      const entry = leader.replica.log.get(index);
      if (entry) {
        messages[place] = this.#decode(found[place]!, entry.bytes);
        fetch.bytes += entry.bytes.length;
      } else missing.push(place);
    }
    fetch.at += READ_MAX;
    if (missing.length === 0) return this.#fetched(fetch);
    const keys = missing.map((place) => entryKey(found[place]!.leader.shard, found[place]!.index));
    this.#host.store.getMany(keys, (records) => {
      if (answer.page !== page) return;
      for (const [i, record] of records.entries()) {
        const place = missing[i]!;
        // Replaced meanwhile and deleted: the newer one comes live.
        messages[place] = record ? this.#decode(found[place]!, record) : null;
        fetch.bytes += record?.length ?? 0;
      }
      this.#fetched(fetch);
    });
  }

  #fetched(fetch: Fetch): void {
    const { answer, page } = fetch;
    if (fetch.bytes > 2 * page.bytesMax && fetch.order.length > 1) {
      // Larger than those before: fewer are looked for, from where these were.
      answer.batch = Math.ceil(Math.min(answer.batch, fetch.order.length) / 8);
      answer.from = page.foundFrom;
      return this.#host.work.later((units) => this.#step(answer, units));
    }
    if (fetch.at >= fetch.order.length) return this.#take(fetch);
    this.#host.work.later(() => {
      this.#fetch(fetch);
      return true;
    });
  }

  #take({ answer, page, messages, blocked }: Fetch): void {
    let bytes = 0;
    for (const message of messages) {
      if (!message) continue;
      page.items.push(message);
      bytes += message.payload.length + message.topic.length;
    }
    page.bytes += bytes;
    const left = page.bytesMax - page.bytes;
    const each = Math.max(1, bytes / messages.length);
    answer.batch = Math.max(1, Math.min(BATCH_MAX, Math.floor(left / each), answer.batch * 4));
    if (answer.from === undefined) this.#finish(answer, 'complete');
    else if (left <= 0) {
      answer.batch = Math.max(1, Math.min(BATCH_MAX, Math.floor(page.bytesMax / each)));
      this.#finish(answer, 'page');
    } else if (blocked) this.#wait(answer);
    else this.#host.work.later((units) => this.#step(answer, units));
  }

  #decode({ leader, index }: Found, record: Uint8Array): Message | null {
    try {
      const op = readOperation(new Reader(decodeEntry(record).operation)).operation;
      return op.type === 'retain' ? op.message : null;
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      const { shard } = leader;
      this.#host.log('error', 'retained message is damaged on this copy', { shard, index });
      // Another copy may have it, and leads then; the reader asks there.
      leader.replica.corrupt('a retained message cannot be read');
      return null;
    }
  }

  #finish(answer: Answer, status: PageStatus): void {
    const { items, reply } = answer.page!;
    answer.page = null;
    if (status === 'moved' || !this.#leads(answer)) {
      this.#drop(answer);
      return reply({ status: 'moved', items: NONE });
    }
    if (status === 'complete') this.#drop(answer);
    reply({ status, items });
  }
}

/** As keys of the store compare. */
function compare(a: Found, b: Found): number {
  return a.leader.shard - b.leader.shard || a.index - b.index;
}
