/**
 * Messages of groups that leaders on this node have given to members' connections and that are not answered yet,
 * for all shards.
 *
 * A gateway answers each of them while its link is up, so none is given again meanwhile. Once the link is down, or
 * the gateway silent, messages of effective QoS 1 go to other members, perhaps a second time. Those of QoS 2 stay
 * bound to their connection, and are given to it again on the next link, until its process has ended.
 */
import type { Message, Rx2Id } from '../../session/message.ts';
import type { ConnectionAddress } from '../link/delivery-codec.ts';
import { type Give, type GiveFree, Outcome } from '../link/given.ts';
import type { Groups, GroupWatcher, Member, Strategy } from '../route/groups.ts';

/** Silence of a gateway after which the messages that it has go to other members. */
const SILENT_MS = 1500;
/** How long a member is passed over that its gateway says is none, until it is known to have left. */
const PAUSE_MS = 100;

/** Stands for the queue of a message of QoS 0, which is in none. */
const NO_QUEUE = { shard: 0, term: 0 };

/** The part of a shard's leader that holds the messages of groups. */
export interface GroupQueueHere {
  readonly shard: number;
  /** Counts the leader's terms. */
  readonly term: number;
  /** A member of the group may have room. */
  onRoom(key: string): void;
  /** What became of a message that was given. */
  onGiven(key: string, index: number, outcome: Outcome): void;
  /** The members that had these messages have gone together. */
  onLost(lost: readonly (readonly [key: string, index: number])[]): void;
  /** The member has no room for this message, and refuses those that were given to it later. */
  onBusy(key: string, index: number, member: Member | null): void;
}

/** A message under way. */
interface Given {
  readonly queue: GroupQueueHere;
  readonly key: string;
  readonly index: number;
  readonly to: ConnectionAddress;
  readonly member: Member | null;
  /** For a message that is bound to its connection: makes the frame to give it again. */
  readonly bound: (() => Give) | null;
}

export interface GivingPort {
  readonly groups: Groups;
  readonly name: string;
  nowMs(): number;
  random(): number;
  strategyOf(shareName: string): Strategy;
  /** When anything came of the node last; −1 while there is no link to it. */
  heardMs(node: string): number;
  bootEpochOf(node: string): number;
  /** No room on the way there. */
  full(node: string): boolean;
  /** @returns false if the gateway cannot be reached now */
  give(give: Give): boolean;
}

export class Giving implements GroupWatcher {
  readonly #port: GivingPort;
  readonly #given = new Map<number, Given>();
  /** Tokens by node. */
  readonly #byNode = new Map<string, Set<number>>();
  /** Tokens of what is bound, by connection. */
  readonly #boundTo = new Map<string, Set<number>>();
  /** Token of the last message under way to a connection. */
  readonly #lastTo = new Map<string, number>();
  /** Queues that wait for a member with room, by group; each in its turn. */
  readonly #waiting = new Map<string, Set<GroupQueueHere>>();
  #next = 1;

  constructor(port: GivingPort) {
    this.#port = port;
  }

  get groups(): Groups {
    return this.#port.groups;
  }

  get underWay(): number {
    return this.#given.size;
  }

  /**
   * The member that gets the next message; null if no member that may get it has room.
   *
   * @param may a further condition
   */
  choose(
    key: string,
    message: Pick<Message, 'topic' | 'publisher'>,
    ingress: string,
    may: (m: Member) => boolean,
  ): Member | null {
    const { groups, random } = this.#port;
    const group = groups.get(key);
    if (!group) return null;
    const strategy = this.#port.strategyOf(group.shareName);
    return group.choose(strategy, message, ingress, random, (m) => this.#takes(m) && may(m));
  }

  /** Whether some member would take a message. */
  hasRoom(key: string): boolean {
    return this.#port.groups.get(key)?.some((m) => this.#takes(m)) ?? false;
  }

  #takes(m: Member): boolean {
    if (!m.free || m.pausedUntilMs > this.#port.nowMs()) return false;
    return this.reaches(m.node) && !this.#port.full(m.node);
  }

  /** The node is here, or heard. */
  reaches(node: string): boolean {
    if (node === this.#port.name) return true;
    const heardMs = this.#port.heardMs(node);
    return heardMs >= 0 && this.#port.nowMs() - heardMs < SILENT_MS;
  }

  /** Whether any member of the group can be reached. */
  online(key: string): boolean {
    return this.#port.groups.get(key)?.members.some((m) => this.reaches(m.node)) ?? false;
  }

  addressOf({ node, connection }: Member): ConnectionAddress {
    return { node, bootEpoch: this.#port.bootEpochOf(node), connection };
  }

  // ---- to members ------------------------------------------------------------------------------

  /** A message of QoS 0: to one member of each group, if one is online. */
  zeroToGroups(groups: readonly { readonly keys: readonly string[] }[], message: Message): void {
    for (const { keys } of groups) {
      for (const key of keys) {
        const member = this.choose(key, message, this.#port.name, () => true);
        if (member) this.giveZero(member, key, message);
      }
    }
  }

  /** At effective QoS 0: given and forgotten. */
  giveZero(member: Member, key: string, message: Message): void {
    member.given++;
    this.#port.give(this.#frame(NO_QUEUE, this.addressOf(member), 0, key, 0, null, message));
  }

  #frame(
    { shard, term }: Pick<GroupQueueHere, 'shard' | 'term'>,
    to: ConnectionAddress,
    token: number,
    group: string,
    qos: 0 | 1 | 2,
    id: Rx2Id | null,
    message: Message,
  ): Give {
    const member = this.#port.groups.member(to.node, to.connection, group);
    const generation = member?.generation ?? 0;
    return { to, token, shard, term, generation, group, qos, id, message };
  }

  giveOne(
    queue: GroupQueueHere,
    member: Member,
    key: string,
    index: number,
    message: Message,
  ): void {
    const to = this.addressOf(member);
    member.underWay++;
    member.given++;
    const token = this.#begin({ queue, key, index, to, member, bound: null });
    this.#port.give(
      this.#frame(queue, to, token, key, 1, { shard: queue.shard, index, low: 0 }, message),
    );
  }

  /** Counts a message as under way to the member before it is given. @returns ends that; to be called once */
  reserve(member: Member): () => void {
    member.underWay++;
    member.given++;
    return () => {
      member.underWay--;
      this.onRoom(member.group.key);
    };
  }

  giveBound(
    queue: GroupQueueHere,
    to: ConnectionAddress,
    key: string,
    index: number,
    rx2: Rx2Id,
    message: Message,
  ): void {
    const member = this.#port.groups.member(to.node, to.connection, key) ?? null;
    if (member) member.underWay++;
    const token: number = this.#begin({
      queue,
      key,
      index,
      to,
      member,
      bound: () => this.#frame(queue, to, token, key, 2, rx2, message),
    });
    this.#port.give(this.#given.get(token)!.bound!());
  }

  #begin(given: Given): number {
    const token = this.#next++;
    this.#given.set(token, given);
    addTo(this.#byNode, given.to.node, token);
    if (given.bound) addTo(this.#boundTo, connectionKey(given.to), token);
    this.#lastTo.set(connectionKey(given.to), token);
    return token;
  }

  #end(token: number): Given | undefined {
    const given = this.#given.get(token);
    if (!given) return undefined;
    this.#given.delete(token);
    removeFrom(this.#byNode, given.to.node, token);
    const to = connectionKey(given.to);
    if (given.bound) removeFrom(this.#boundTo, to, token);
    if (this.#lastTo.get(to) === token) this.#lastTo.delete(to);
    if (given.member) given.member.underWay--;
    return given;
  }

  /** The leader leads no more; the next one gives its messages again. */
  drop(queue: GroupQueueHere): void {
    for (const [token, given] of this.#given) if (given.queue === queue) this.#end(token);
    for (const [key, queues] of this.#waiting) {
      queues.delete(queue);
      if (queues.size === 0) this.#waiting.delete(key);
    }
  }

  // ---- what comes back -------------------------------------------------------------------------

  onGiven(token: number, outcome: Outcome): void {
    const given = this.#given.get(token);
    if (!given) return;
    const { queue, key, index, member, bound } = given;
    if (member && outcome === Outcome.Busy) member.busy = true;
    // It is about to leave.
    if (member && outcome === Outcome.Gone) member.pausedUntilMs = this.#port.nowMs() + PAUSE_MS;
    // What is bound waits for room at its connection.
    if (outcome === Outcome.Busy && bound) return;
    this.#end(token);
    if (outcome === Outcome.Busy) return queue.onBusy(key, index, member);
    queue.onGiven(key, index, outcome);
    if (member && outcome === Outcome.Done) member.grow();
    this.onRoom(key);
  }

  /**
   * Void if a message is on its way to the connection that it had not had by then. That one is refused, with
   * another word of room behind it, and later ones must not overtake it.
   */
  onFree(node: string, { connection, generation, room, upTo }: GiveFree): void {
    if ((this.#lastTo.get(connectionKey({ node, connection })) ?? 0) > upTo) return;
    for (const token of this.#boundTo.get(connectionKey({ node, connection })) ?? []) {
      const bound = this.#given.get(token)?.bound;
      if (bound) this.#port.give({ ...bound(), generation });
    }
    this.#port.groups.onFree(node, connection, generation, room);
  }

  // ---- who has room ----------------------------------------------------------------------------

  /** The queue is told when there may be room. */
  await(key: string, queue: GroupQueueHere): void {
    const queues = this.#waiting.get(key);
    if (queues) queues.add(queue);
    else this.#waiting.set(key, new Set([queue]));
  }

  onRoom(key: string): void {
    const queues = this.#waiting.get(key);
    if (!queues) return;
    this.#waiting.delete(key);
    for (const queue of queues) queue.onRoom(key);
  }

  onDrained(node: string): void {
    for (const key of [...this.#waiting.keys()])
      if (this.#port.groups.get(key)?.members.some((m) => m.node === node)) this.onRoom(key);
  }

  // ---- links -----------------------------------------------------------------------------------

  /** What was under way there at QoS 1 goes to others. */
  onLinkDown(node: string): void {
    const lost = new Map<GroupQueueHere, [key: string, index: number][]>();
    for (const token of [...(this.#byNode.get(node) ?? [])]) {
      if (this.#given.get(token)!.bound) continue;
      const { queue, key, index } = this.#end(token)!;
      const of = lost.get(queue);
      if (of) of.push([key, index]);
      else lost.set(queue, [[key, index]]);
    }
    for (const [queue, of] of lost) queue.onLost(of);
  }

  /** What is bound to connections there is asked for again. */
  onLinkUp(node: string): void {
    for (const token of this.#byNode.get(node) ?? []) {
      const { bound } = this.#given.get(token)!;
      if (bound) this.#port.give({ ...bound(), generation: 0 });
    }
  }

  /** @param gone the process that holds the connection has ended */
  tick(gone: (node: string, bootEpoch: number) => boolean): void {
    for (const [node, tokens] of [...this.#byNode]) {
      if (node === this.#port.name) continue;
      if (!this.reaches(node)) this.onLinkDown(node);
      for (const token of [...tokens]) {
        const given = this.#given.get(token);
        if (!given?.bound || !gone(node, given.to.bootEpoch)) continue;
        this.#end(token);
        given.queue.onGiven(given.key, given.index, Outcome.Ended);
      }
    }
    // Nothing announces the end of a member's pause, nor that a silent node is heard again.
    for (const key of [...this.#waiting.keys()]) this.onRoom(key);
  }
}

function connectionKey({
  node,
  connection,
}: Pick<ConnectionAddress, 'node' | 'connection'>): string {
  return `${connection} ${node}`;
}

function addTo(map: Map<string, Set<number>>, key: string, token: number): void {
  const tokens = map.get(key);
  if (tokens) tokens.add(token);
  else map.set(key, new Set([token]));
}

function removeFrom(map: Map<string, Set<number>>, key: string, token: number): void {
  const tokens = map.get(key);
  tokens?.delete(token);
  if (tokens?.size === 0) map.delete(key);
}
