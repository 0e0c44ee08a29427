/**
 * Groups and their members, on every node: who subscribes to a Shared Subscription, and which of them gets the
 * next message.
 *
 * Connections are announced by their nodes, one by one; the shards of stored sessions say that they have some,
 * online or not. The node that leads the shard of a group and topic chooses among the connections, and counts
 * what it has under way to each.
 */
import type { SHARED_STRATEGIES } from '../../config-types.ts';
import { hash32 } from '../../placement/hash.ts';
import type { Message } from '../../session/message.ts';
import type { GroupMember } from '../link/filter-change.ts';

/** How a member is chosen. Members whose window is full are passed over by all of them. */
export type Strategy = (typeof SHARED_STRATEGIES)[number];

/** The cluster's strategy, and those of single groups by share name. */
export interface SharedOptions {
  readonly strategy: Strategy;
  readonly groups: Readonly<Record<string, Strategy>>;
}

export function strategyOf(shared: SharedOptions | undefined, shareName: string): Strategy {
  if (!shared) return 'round-robin';
  return Object.hasOwn(shared.groups, shareName) ? shared.groups[shareName]! : shared.strategy;
}

/** A member with a connection, and what this node has under way to it. */
export class Member implements GroupMember {
  readonly group: Group;
  readonly node: string;
  readonly connection: number;
  readonly clientId: string;
  readonly qos: 0 | 1 | 2;
  readonly persistent: boolean;
  readonly window: number;
  /** Its gateway has refused: it takes nothing before its gateway says so, by the next generation. */
  busy = false;
  generation = 0;
  /** Messages of effective QoS 1 and 2 under way to it from here, and how many there may be. */
  underWay = 0;
  #limit: number;
  /** Turns in which it was passed over, and that it gets first when it has room again. */
  owed = 0;
  /** The queue of its session was full: nothing more before then. */
  pausedUntilMs = 0;
  /** Messages that this node has given it. */
  given = 0;
  /** It is no member any more. */
  left = false;

  constructor(group: Group, node: string, of: GroupMember) {
    this.group = group;
    this.node = node;
    this.connection = of.connection;
    this.clientId = of.clientId;
    this.qos = of.qos;
    this.persistent = of.persistent;
    this.window = of.window;
    this.#limit = of.window;
  }

  get free(): boolean {
    return !this.busy && this.underWay < this.#limit;
  }

  /** Other leaders, or other messages, share its window: from now on this many more than are under way. */
  takes(room: number): void {
    this.busy = false;
    this.#limit = Math.min(this.window, this.underWay + Math.max(1, room));
  }

  /** It has taken one: it may have room for more than it said, by one in the time that all under way take. */
  grow(): void {
    if (this.#limit < this.window) this.#limit += 1 / this.#limit;
  }
}

/** Turns that a member without room gets later, at most: beyond, it is slow and no victim of chance. */
const OWED_MAX = 1000;

function isBefore(a: Member, b: Member): boolean {
  if (a.clientId !== b.clientId) return a.clientId < b.clientId;
  if (a.node !== b.node) return a.node < b.node;
  return a.connection < b.connection;
}

export class Group {
  /** The whole Topic Filter of its Shared Subscription: `$share/name/filter`. */
  readonly key: string;
  readonly shareName: string;
  readonly filter: string;
  /** Those with a connection, in one order on all nodes. */
  readonly members: Member[] = [];
  /** Shards with stored sessions that subscribe to it at QoS 1 or 2, online or not. */
  readonly shards = new Set<number>();
  /** Index of the member whose turn it is. */
  #turn = 0;
  #sticky: Member | null = null;
  /** Index of a member that had room. */
  #likely = 0;

  constructor(key: string, shareName: string, filter: string) {
    this.key = key;
    this.shareName = shareName;
    this.filter = filter;
  }

  get empty(): boolean {
    return this.members.length === 0 && this.shards.size === 0;
  }

  add(member: Member): void {
    const { members } = this;
    let at = members.findIndex((other) => isBefore(member, other));
    if (at < 0) at = members.length;
    members.splice(at, 0, member);
    if (at < this.#turn) this.#turn++;
  }

  remove(member: Member): void {
    member.left = true;
    const at = this.members.indexOf(member);
    if (at < 0) return;
    this.members.splice(at, 1);
    this.#owed -= member.owed;
    if (at < this.#turn) this.#turn--;
    if (this.#sticky === member) this.#sticky = null;
  }

  /**
   * The member that gets the message, null if none that may has room.
   *
   * @param may which members are considered at all
   * @param ingress node at which the message came in
   */
  choose(
    strategy: Strategy,
    message: Pick<Message, 'topic' | 'publisher'>,
    ingress: string,
    random: () => number,
    may: (m: Member) => boolean,
  ): Member | null {
    const n = this.members.length;
    if (n === 0) return null;
    switch (strategy) {
      case 'random':
        return this.#from(Math.floor(random() * n), may);
      case 'sticky': {
        const held = this.#sticky;
        if (held && may(held)) return held;
        const m = this.#best(may);
        // One that is full for now keeps its place.
        if (!held) this.#sticky = m;
        return m;
      }
      case 'hash-client':
        return this.#from(hash32(message.publisher) % n, may);
      case 'hash-topic':
        return this.#from(hash32(message.topic) % n, may);
      case 'local-first':
        return this.#inTurn((m) => m.node === ingress && may(m)) ?? this.#inTurn(may);
      default:
        return this.#inTurn(may);
    }
  }

  /** Whether some member is such. */
  some(may: (m: Member) => boolean): boolean {
    const { members } = this;
    // Mostly the one that was found last time.
    const likely = members[this.#likely];
    if (likely && may(likely)) return true;
    const at = members.findIndex(may);
    this.#likely = Math.max(0, at);
    return at >= 0;
  }

  /** The same one on every node, unless they see other members. */
  #best(may: (m: Member) => boolean): Member | null {
    const seed = hash32(this.key);
    let best: Member | null = null;
    let highest = -1;
    for (const m of this.members) {
      const score = hash32(m.clientId, seed);
      if (score <= highest || !may(m)) continue;
      best = m;
      highest = score;
    }
    return best;
  }

  #inTurn(may: (m: Member) => boolean): Member | null {
    const back = this.#owed > 0 ? this.members.find((m) => m.owed > 0 && may(m)) : undefined;
    if (back) {
      back.owed--;
      this.#owed--;
      return back;
    }
    const m = this.#from(this.#turn, may);
    if (!m) return null;
    const n = this.members.length;
    for (let at = this.#turn % n; at !== this.#found; at = (at + 1) % n)
      this.#owe(this.members[at]!);
    this.#turn = this.#found + 1;
    return m;
  }

  /** Its turn, and it has no room. */
  #owe(m: Member): void {
    if (m.free || m.owed >= OWED_MAX) return;
    m.owed++;
    this.#owed++;
  }

  /** What is owed to all members. */
  #owed = 0;

  /** Where the last search ended. */
  #found = 0;

  #from(start: number, may: (m: Member) => boolean): Member | null {
    const { members } = this;
    const n = members.length;
    for (let i = 0; i < n; i++) {
      const at = (start + i) % n;
      const m = members[at]!;
      if (!may(m)) continue;
      this.#found = at;
      return m;
    }
    return null;
  }
}

/** What has messages for groups. */
export interface GroupWatcher {
  /** There may be a member with room. */
  onRoom(group: string): void;
}

export class Groups {
  readonly #groups = new Map<string, Group>();
  /** Node → connection → key of the group. */
  readonly #members = new Map<string, Map<number, Map<string, Member>>>();
  watcher: GroupWatcher | null = null;

  get(key: string): Group | undefined {
    return this.#groups.get(key);
  }

  all(): Iterable<Group> {
    return this.#groups.values();
  }

  /** The group of this key, made if it is new. */
  #group(key: string): Group {
    let group = this.#groups.get(key);
    if (!group) {
      const slash = key.indexOf('/', 7);
      group = new Group(key, key.slice(7, slash), key.slice(slash + 1));
      this.#groups.set(key, group);
    }
    return group;
  }

  /** @returns the group if it has come into being, or ended */
  changeMember(node: string, key: string, of: GroupMember, added: boolean): Group | null {
    const before = this.member(node, of.connection, key);
    if (!added && !before) return null;
    const group = this.#group(key);
    const { empty } = group;
    if (added) this.#join(node, new Member(group, node, of));
    else this.#forget(node, of.connection, key);
    if (before) group.remove(before);
    if (added) this.watcher?.onRoom(key);
    return this.#settle(group, empty);
  }

  #join(node: string, member: Member): void {
    let connections = this.#members.get(node);
    if (!connections) {
      connections = new Map();
      this.#members.set(node, connections);
    }
    let members = connections.get(member.connection);
    if (!members) {
      members = new Map();
      connections.set(member.connection, members);
    }
    members.set(member.group.key, member);
    member.group.add(member);
  }

  #forget(node: string, connection: number, key: string): void {
    const connections = this.#members.get(node);
    const members = connections?.get(connection);
    members?.delete(key);
    if (members?.size === 0) connections!.delete(connection);
    if (connections?.size === 0) this.#members.delete(node);
  }

  /** @returns the group if it has come into being, or ended */
  changeShard(shard: number, key: string, added: boolean): Group | null {
    const group = this.#group(key);
    const { empty } = group;
    if (added) group.shards.add(shard);
    else group.shards.delete(shard);
    return this.#settle(group, empty);
  }

  #settle(group: Group, wasEmpty: boolean): Group | null {
    if (group.empty) this.#groups.delete(group.key);
    return group.empty === wasEmpty ? null : group;
  }

  *membersOf(node: string): Generator<Member> {
    for (const members of this.#members.get(node)?.values() ?? []) yield* members.values();
  }

  member(node: string, connection: number, key: string): Member | undefined {
    return this.#members.get(node)?.get(connection)?.get(key);
  }

  /** The gateway takes messages for this connection again. */
  onFree(node: string, connection: number, generation: number, room: number): void {
    for (const [key, member] of this.#members.get(node)?.get(connection) ?? []) {
      // The same generation comes again behind each refusal of a message that was under way when there was room.
      if (generation < member.generation) continue;
      member.generation = generation;
      member.takes(room);
      this.watcher?.onRoom(key);
    }
  }
}
