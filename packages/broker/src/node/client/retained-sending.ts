/**
 * Retained messages on their way to one client, after the SUBACK and at its pace.
 *
 * A session without persistence reads them itself; of a persistent one the leader reads, queues what is
 * QoS 1 or 2 and sends what is QoS 0 here, batch by batch. Either way a copy is written only while the
 * client has room for it, so none is dropped, and none after a live message of its topic that is newer.
 */
import { TopicTree } from '../../mqtt/topic-tree.ts';
import type { Message } from '../../session/message.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { RetainedZero } from '../link/delivery-codec.ts';
import type { Reading } from '../route/retained-reading.ts';
import { TopicWatch } from '../route/topic-watch.ts';
import { addWant, type Want, wantOf } from '../route/want.ts';
import type { Client, RetainedToClient } from './parts.ts';
import { pump, sendOrWait, sendZero, takesNow } from './sending.ts';

/** Bytes that wait for the socket above which no further retained message is written. */
const SOCKET_BYTES = 128 * 1024;
/** SUBSCRIBEs of one connection whose retained messages wait to be read; further ones are read with the last. */
export const RETAINED_BATCHES_MAX = 100;
/** Work units of one copy. */
const COPY_UNITS = 4;

interface Copy {
  readonly message: Message;
  readonly qos: 0 | 1 | 2;
  readonly identifiers: readonly number[];
}

type Batch = Map<string, SubscriptionRequest>;

function copyOf(message: Message, { qos, identifiers }: Want): Copy {
  return { message, qos, identifiers };
}

export class RetainedSending implements RetainedToClient {
  readonly #c: Client;
  readonly #watch: TopicWatch;
  /** SUBSCRIBEs that are not acknowledged yet. */
  #expected = 0;
  /** The leader has not said that it has sent everything. */
  #leaderReads = false;
  #batches: Batch[] = [];
  #reading: Reading | null = null;
  /** Filters of the batch that is read, made when something matches. */
  #tree: TopicTree<string> | null = null;
  #zero: { readonly batch: RetainedZero; at: number; taken: () => void } | null = null;
  #token = 0;
  /** Taken, and waiting for room. */
  #next: Copy | null = null;
  #running = false;

  constructor(c: Client) {
    this.#c = c;
    this.#watch = new TopicWatch(c.port.watched);
  }

  /** A SUBSCRIBE wants retained messages: from now on live messages may outdate them. */
  expect(): void {
    this.#expected++;
  }

  sawLive(message: Message): void {
    // What is read already cannot be outdated any more.
    if (this.#expected === 0 && this.#batches.length === 1 && this.#reading)
      if (message.topic <= this.#reading.cursor && this.#next?.message.topic !== message.topic)
        return;
    this.#watch.saw(message);
  }

  /** The SUBACK is sent, and the connection reads for itself. */
  read(wanted: readonly SubscriptionRequest[]): void {
    this.#expected--;
    let last = this.#batches.length > 1 ? this.#batches[this.#batches.length - 1] : undefined;
    const full = this.#batches.length >= RETAINED_BATCHES_MAX;
    // A filter that waits already is another SUBSCRIBE's: each gets its messages.
    if (!last || (!full && wanted.some((s) => last!.has(s.filter)))) {
      last = new Map();
      this.#batches.push(last);
    }
    for (const s of wanted) last.set(s.filter, s);
    this.wake();
  }

  /** The SUBACK is sent, and the session's leader reads. */
  leaderReads(): void {
    this.#expected--;
    this.#leaderReads = true;
    pump(this.#c);
  }

  /** A SUBACK is to come before any retained message. */
  get subackDue(): boolean {
    return this.#expected > 0;
  }

  /** QoS 0 copies from the leader. @param taken to be called when there is room for more */
  fromLeader(batch: RetainedZero, taken: () => void): void {
    if (batch.last && this.#expected === 0) this.#leaderReads = false;
    if (batch.items.length === 0) return this.#release();
    if (batch.token === this.#token && this.#zero) {
      // Sent again on a new link, or by the next leader.
      this.#zero.taken = taken;
      return;
    }
    if (batch.token <= this.#token) return taken();
    this.#token = batch.token;
    this.#zero = { batch, at: 0, taken };
    this.wake();
  }

  /** There may be something to send, or room for it. */
  wake(): void {
    if (this.#running) return;
    this.#running = true;
    this.#c.port.work.start((units) => this.#run(units));
  }

  end(): void {
    this.#reading?.end();
    this.#reading = null;
    this.#batches = [];
    this.#zero = null;
    this.#watch.clear();
  }

  // ---- sending ---------------------------------------------------------------------------------

  #run(units: number): boolean {
    const c = this.#c;
    for (let left = units; left > 0; left -= COPY_UNITS) {
      if (!c.isOpen) {
        this.end();
        return true;
      }
      const copy = this.#next ?? this.#pull();
      if (copy === 'skip') continue;
      if (!copy) {
        this.#running = false;
        this.#release();
        return true;
      }
      this.#next = copy;
      if (!takesNow(c, copy.qos, SOCKET_BYTES)) {
        // An acknowledgement, or the drained socket, wakes.
        this.#running = false;
        return true;
      }
      this.#next = null;
      send(c, copy);
    }
    return false;
  }

  #pull(): Copy | 'skip' | null {
    if (this.#zero) return this.#expected > 0 ? null : this.#pullZero();
    if (!this.#reading) {
      const batch = this.#batches[0];
      if (!batch) return null;
      this.#tree = null;
      this.#reading = this.#c.port.queries.read([...batch.keys()], '', () => this.wake());
    }
    const message = this.#reading.take();
    if (message) return this.#wanted(message);
    if (!this.#reading.finished) return null;
    this.#reading = null;
    this.#batches.shift();
    return 'skip';
  }

  #pullZero(): Copy | 'skip' {
    const zero = this.#zero!;
    const item = zero.batch.items[zero.at++];
    if (item) return this.#outdated(item.message) ? 'skip' : { ...item, qos: 0 };
    this.#zero = null;
    zero.taken();
    return 'skip';
  }

  #outdated(message: Message): boolean {
    if (message.expiresAtMs > 0 && message.expiresAtMs <= this.#c.port.env.wallMs()) return true;
    return this.#watch.outdates(message);
  }

  /** At the highest QoS of the filters that asked for it and are still subscribed. */
  #wanted(message: Message): Copy | 'skip' {
    if (this.#outdated(message)) return 'skip';
    const batch = this.#batches[0]!;
    if (!this.#tree) {
      this.#tree = new TopicTree();
      for (const filter of batch.keys()) this.#tree.add(filter, filter);
    }
    let want: Want | null = null;
    this.#tree.match(message.topic, (filter) => {
      const s = batch.get(filter)!;
      if (!this.#c.subscriptions?.has(filter)) return;
      if (want) addWant(want, s, message);
      else want = wantOf(s, message);
    });
    return want ? copyOf(message, want) : 'skip';
  }

  /** Nothing is to come: the connection needs no memory of live messages any more. */
  #release(): void {
    if (this.#expected > 0 || this.#leaderReads || this.#running) return;
    if (this.#batches.length > 0 || this.#zero || this.#next) return;
    this.#watch.clear();
    this.#c.retained = null;
  }
}

function send(c: Client, { message, qos, identifiers }: Copy): void {
  if (qos === 0) sendZero(c, message, true, identifiers, { frames: [] });
  else sendOrWait(c, message, qos, true, identifiers);
}

/** A SUBSCRIBE wants retained messages: what is live from now on is newer than theirs. */
export function expectRetained(c: Client): RetainedToClient {
  c.retained ??= new RetainedSending(c);
  c.retained.expect();
  return c.retained;
}

/** From the leader of the session. @param taken when the client has room for more */
export function onRetainedZero(c: Client, batch: RetainedZero, taken: () => void): void {
  if (!c.isOpen) return;
  // Nothing is expected where the session goes on with what an earlier connection had left.
  if (!c.retained && batch.items.length > 0) expectRetained(c).leaderReads();
  c.retained?.fromLeader(batch, taken);
}
