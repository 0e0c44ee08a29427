/** The node's own connections' subscriptions, and delivery to them. */
import { isShared } from '../../mqtt/topic.ts';
import { TopicTree } from '../../mqtt/topic-tree.ts';
import type { Message } from '../../session/message.ts';
import type { FilterChange } from '../link/filter-change.ts';
import type { MissedMessages } from '../link/missed-messages.ts';
import type { LiveConnection, LiveSubscription } from './client-port.ts';
import { addWant, type Want, wantOf } from './want.ts';

const NO_IDENTIFIERS: readonly number[] = [];

/** How many connections want a filter, by kind. */
interface Count {
  all: number;
  zero: number;
}

export class Live {
  readonly #tree = new TopicTree<LiveSubscription>();
  readonly #counts = new Map<string, Count>();
  readonly #onChange: (changes: readonly FilterChange[]) => void;
  /** Changes of a batch under way. */
  #batch: FilterChange[] | null = null;

  /** @param onChange what other nodes must hear of */
  constructor(onChange: (changes: readonly FilterChange[]) => void) {
    this.#onChange = onChange;
  }

  /** What `change` adds and removes is announced as one change. */
  batch(change: () => void): void {
    if (this.#batch) return change();
    const changes: FilterChange[] = [];
    this.#batch = changes;
    change();
    this.#batch = null;
    if (changes.length > 0) this.#onChange(changes);
  }

  #tell(change: FilterChange): void {
    if (this.#batch) this.#batch.push(change);
    else this.#onChange([change]);
  }

  add(s: LiveSubscription): void {
    if (isShared(s.filter)) return this.#tellMember(s, true);
    this.#tree.add(s.filter, s);
    let count = this.#counts.get(s.filter);
    if (!count) {
      count = { all: 0, zero: 0 };
      this.#counts.set(s.filter, count);
    }
    const kind = s.zeroOnly ? 'zero' : 'all';
    if (count[kind]++ === 0) this.#tell({ filter: s.filter, zeroOnly: s.zeroOnly, added: true });
  }

  /** Which member of a group gets a message is not decided here. */
  #tellMember({ filter, qos, connection }: LiveSubscription, added: boolean): void {
    const { id, clientId, persistent, window } = connection;
    const member = { connection: id, clientId, qos, persistent, window };
    this.#tell({ filter, zeroOnly: false, added, member });
  }

  remove(s: LiveSubscription): void {
    if (isShared(s.filter)) return this.#tellMember(s, false);
    if (!this.#tree.remove(s.filter, s)) return;
    const count = this.#counts.get(s.filter)!;
    const kind = s.zeroOnly ? 'zero' : 'all';
    if (--count[kind] === 0) this.#tell({ filter: s.filter, zeroOnly: s.zeroOnly, added: false });
    if (count.all === 0 && count.zero === 0) this.#counts.delete(s.filter);
  }

  /**
   * Delivers to every live connection that wants the message, each once at its highest QoS.
   * Persistent sessions get QoS 1 and 2 from their queues, so here only what is effectively QoS 0.
   * A message that was published before a subscription was made here, and comes late because it was
   * held up or sent again, is not meant for it.
   *
   * @returns connections that the publisher is to wait for, if any
   */
  deliver(message: Message): readonly LiveConnection[] | null {
    const frames = { frames: [] };
    let first: LiveSubscription | null = null;
    let wants: Map<LiveConnection, Want> | null = null;
    this.#tree.match(message.topic, (s) => {
      const { connection } = s;
      if (s.noLocal && connection.clientId === message.publisher) return;
      if (s.since > message.hlc) return;
      if (!first && !wants) {
        first = s;
        return;
      }
      wants ??= new Map();
      if (first) {
        merge(wants, first, message);
        first = null;
      }
      merge(wants, s, message);
    });
    if (first) {
      const only = first as LiveSubscription;
      const qos = Math.min(only.qos, message.qos) as 0 | 1 | 2;
      if (only.zeroOnly && qos > 0) return null;
      const identifiers = only.identifier > 0 ? [only.identifier] : NO_IDENTIFIERS;
      const retain = only.retainAsPublished && message.retain;
      const { connection } = only;
      return connection.deliverLive(message, qos, retain, identifiers, frames)
        ? null
        : [connection];
    }
    if (!wants) return null;
    let behind: LiveConnection[] | null = null;
    for (const [connection, want] of wants as Map<LiveConnection, Want>) {
      if (want.queued) continue;
      const { qos, retain, identifiers } = want;
      if (connection.deliverLive(message, qos, retain, identifiers, frames)) continue;
      behind ??= [];
      behind.push(connection);
    }
    return behind;
  }

  /** Connections that were owed a message of these topics, and did not get it. */
  thatMiss(missed: MissedMessages): Set<LiveConnection> {
    const found = new Set<LiveConnection>();
    for (const topic of missed.topics) {
      this.#tree.match(topic, (s) => {
        if (misses(s, missed)) found.add(s.connection);
      });
    }
    return found;
  }
}

/** Counts on QoS 1 and 2 of its own, and was there when they were published. */
export function misses(s: LiveSubscription, { hlc }: MissedMessages): boolean {
  return !isShared(s.filter) && !s.zeroOnly && s.qos > 0 && s.since <= hlc;
}

function merge(wants: Map<LiveConnection, Want>, s: LiveSubscription, message: Message): void {
  let want = wants.get(s.connection);
  if (want) addWant(want, s, message);
  else {
    want = wantOf(s, message);
    wants.set(s.connection, want);
  }
  if (s.zeroOnly && Math.min(s.qos, message.qos) > 0) want.queued = true;
}
