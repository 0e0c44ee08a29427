import { shardOf } from '../../placement/hash.ts';
import type { ShardInspection } from '../core-port.ts';
import type { Connection, Message } from '../history.ts';
import { filterMatches, isShared, sharedFilter } from '../topics.ts';
import { Checker, type World } from './checker.ts';

/** After a split has begun or ended: silence, elections, and waiting for the successors of nodes that are gone. */
const SETTLED_MS = 4000;
/** Longer than anything takes on an unbroken way, relays and slow disks included. */
const BOUND_MS = 2500;

/**
 * Invariant 17: while a cluster is split, and when it is one again, a publish is acknowledged in bounded time
 * unless it concerns a shard that cannot have a leader on its side.
 *
 * It concerns the shards of persistent sessions that match, that of the topic in every group that matches, its
 * publisher's at QoS 2, its topic's if it is to be retained. A later publish of the same connection is
 * acknowledged after it.
 */
export class Unconcerned extends Checker {
  readonly invariant = '17 nobody waits for what is not theirs';
  readonly #shards: number;
  readonly #open = new Set<Message>();
  /** By Client Identifier: the connection that was acknowledged last. */
  readonly #connections = new Map<string, Connection>();

  constructor(shards: number) {
    super();
    this.#shards = shards;
  }

  override onConnack(connection: Connection): void {
    this.#connections.set(connection.client, connection);
  }

  override onSent(message: Message): void {
    if (message.kind === 'message' && message.qos > 0) this.#open.add(message);
  }

  override onAcked(message: Message): void {
    this.#open.delete(message);
  }

  override onInterval(world: World): void {
    const fromMs = world.splitSinceMs + SETTLED_MS;
    if (world.nowMs < fromMs + BOUND_MS) return;
    /** Publishers whose acknowledgements wait for one that is concerned. */
    const waiting = new Set<string>();
    for (const message of this.#open) {
      if (message.settled) {
        this.#open.delete(message);
        continue;
      }
      const { publisher } = message;
      const connection = this.#connections.get(publisher);
      if (connection?.connackAtMs === undefined || waiting.has(publisher)) continue;
      if (!connection.clientOpen() || !connection.serverOpen()) continue;
      const side = world.sideOf(connection.node);
      const concerned = this.#shardsOf(message).filter((s) => !canServe(world, s, side));
      if (concerned.length > 0) {
        waiting.add(publisher);
        continue;
      }
      const sinceMs = Math.max(message.lastSentAtMs, connection.connackAtMs, fromMs);
      if (world.nowMs - sinceMs <= BOUND_MS || connection.stalledUntilMs > sinceMs) continue;
      this.fail(
        `#${message.id} of ${publisher} at ${connection.node} is not acknowledged after ` +
          `${(world.nowMs - sinceMs).toFixed(0)} ms, though ${[...side].sort().join(' ')} can serve ` +
          `all that it concerns`,
      );
      this.#open.delete(message);
    }
  }

  #shardsOf({ topic, qos, retain, publisher }: Message): number[] {
    const shards = new Set<number>();
    for (const { client, persistent, subscriptions } of this.history.sessions) {
      for (const subscription of subscriptions) {
        const { filter } = subscription;
        if (isShared(subscription)) {
          if (filterMatches(sharedFilter(filter), topic))
            shards.add(shardOf(`${filter}\0${topic}`, this.#shards));
        } else if (persistent && filterMatches(filter, topic))
          shards.add(shardOf(client, this.#shards));
      }
    }
    if (qos === 2) shards.add(shardOf(publisher, this.#shards));
    if (retain) shards.add(shardOf(topic, this.#shards));
    return [...shards];
  }
}

/** A majority of the newest view's voters is on this side, and a copy of it that is whole. */
function canServe(world: World, shard: number, side: ReadonlySet<string>): boolean {
  let newest: ShardInspection | undefined;
  const here = new Map<string, ShardInspection>();
  for (const { node, inspection } of world.inspections()) {
    const copy = inspection.shards[shard];
    if (copy === undefined) continue;
    if (side.has(node)) here.set(node, copy);
    if (newest === undefined || copy.view > newest.view) newest = copy;
  }
  if (newest?.voters === undefined) return true;
  const { active, oldVoters = [], voters } = newest;
  const majority = (names: readonly string[]) =>
    names.filter((name) => here.has(name)).length * 2 > names.length;
  const hasCopy = active.some((name) => here.get(name)?.valid === true);
  return hasCopy && majority(voters) && (oldVoters.length === 0 || majority(oldVoters));
}
