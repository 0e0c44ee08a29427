import type { SwimErrorCode } from '../errors.ts';
import { type DecodeFailure, decodeMessage } from './codec.ts';
import type { Context } from './context.ts';
import { DigestTree, membersIn } from './digest-tree.ts';
import type { EventDelivery } from './event-delivery.ts';
import { isPresent } from './member-list.ts';
import type { Membership } from './membership.ts';
import { commonVersion, type Message, type RefusalReason } from './message.ts';
import type { Notices } from './notices.ts';
import type { Outbox } from './outbox.ts';
import type { Parts } from './parts.ts';
import { SEEDS_AT_ONCE, Seeds } from './seeds.ts';
import type { Statement } from './statement.ts';

/** What keeps a joiner out until an operator changes something. */
const OPERATORS_MATTER: ReadonlySet<SwimErrorCode> = new Set([
  'SWIM_ERR_OTHER_CLUSTER',
  'SWIM_ERR_VERSION',
  'SWIM_ERR_NAME_TAKEN',
]);
const REFUSALS = {
  'other-cluster': 'SWIM_ERR_OTHER_CLUSTER',
  'no-cluster': 'SWIM_ERR_NO_CLUSTER',
  'other-version': 'SWIM_ERR_VERSION',
  'name-taken': 'SWIM_ERR_NAME_TAKEN',
} as const satisfies Record<RefusalReason, SwimErrorCode>;
/** Streams of this process under way at once. */
export const STREAMS_MAX = 64;
/** Up to so many members the whole state is hardly larger than a digest. */
const WHOLE_MEMBERS_MAX = 8;
const REPAIR_INTERVAL_MS = 1_000;
/** Bounds what comparing costs in large clusters: some 80 bytes a millisecond each way. */
const COMPARED_PER_MS = 2;

/** Why a stream was opened. */
type Purpose =
  | { readonly kind: 'join'; readonly callerId: number | undefined }
  | { readonly kind: 'seed' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'probe'; readonly seq: number; readonly target: string };

interface Pending {
  readonly address: string;
  readonly purpose: Purpose;
  readonly step: Step;
}

/** The part of the state to send: all of it; a digest, to find the differences; the differences. */
type Step =
  | { readonly kind: 'whole' }
  | { readonly kind: 'digest' }
  | { readonly kind: 'leaves'; readonly leaves: readonly number[] };

/**
 * Push-pull over streams: joins, seeds, and an exchange with a random member now and then.
 *
 *     join:       sync, all that I know ──▶ sync-ack, all that I know
 *     otherwise:  digest, 64 hashes ──▶ digest-ack, what differs, finer
 *                 sync-leaves, mine of what differs ──▶ sync-ack, mine of the same
 *
 * User events of late come along with the first message each way.
 *
 * Both sides merge what they get; gossip carries on from there. A node without a cluster id takes the
 * other's, whichever of the two asked. Two different ids never merge. At most {@link STREAMS_MAX} are
 * under way.
 */
export class Sync {
  readonly #context: Context;
  readonly #outbox: Outbox;
  readonly #notices: Notices;
  readonly #delivery: EventDelivery;
  readonly #membership: Membership;
  readonly #onAck: (seq: number, target: string) => void;
  readonly #onRefused: (seq: number, target: string) => void;
  /** Probes a member at once. */
  readonly #verify: (record: Statement) => void;
  readonly #pending = new Map<number, Pending>();
  #lastRequestId = 0;
  readonly #seeds: Seeds;
  #lastRepairMs = Number.NEGATIVE_INFINITY;
  #lastCompareMs = Number.NEGATIVE_INFINITY;
  #compareIntervalMs = REPAIR_INTERVAL_MS;

  constructor(
    parts: Parts,
    membership: Membership,
    onAck: (seq: number, target: string) => void,
    onRefused: (seq: number, target: string) => void,
    verify: (record: Statement) => void,
  ) {
    this.#context = parts.context;
    this.#outbox = parts.outbox;
    this.#notices = parts.notices;
    this.#delivery = parts.delivery;
    this.#seeds = new Seeds(parts);
    this.#membership = membership;
    this.#onAck = onAck;
    this.#onRefused = onRefused;
    this.#verify = verify;
  }

  /** Streams of ours under way. */
  get streamCount(): number {
    return this.#pending.size;
  }

  start(seeds: readonly string[]): void {
    this.#seeds.start(seeds);
    this.trySeeds(SEEDS_AT_ONCE);
  }

  /** Replaces the seeds; those that are new and no member's address here are asked, a few at once. */
  setSeeds(seeds: readonly string[]): void {
    for (const seed of this.#seeds.replace(seeds)) this.#open(seed, { kind: 'seed' });
  }

  /** Asks the next few seeds, all in turn. */
  trySeeds(count = 3): void {
    for (const seed of this.#seeds.next(count)) this.#open(seed, { kind: 'seed' });
  }

  /**
   * The periodic exchange: with one random peer, and with one seed that is not among the peers, so
   * that two clusters of one id that never met become one.
   */
  onSyncTimer(): void {
    const peer = this.#context.members.pickPeers(1)[0];
    if (peer !== undefined) this.#open(peer.address, { kind: 'sync' });
    const stranger = this.#seeds.stranger();
    if (stranger !== undefined) this.#open(stranger, { kind: 'seed' });
  }

  /** A member that is unknown, reborn or back from the dead talks to us: exchange, once a second at most. */
  repair(address: string): void {
    if (this.#context.nowMs - this.#lastRepairMs < REPAIR_INTERVAL_MS) return;
    this.#lastRepairMs = this.#context.nowMs;
    this.#open(address, { kind: 'sync' });
  }

  /**
   * Compares what a peer holds with what we hold, while gossip is silent, and while it is overcharged.
   *
   * Gossip ends after a number of sends, and in a crowd of news one member may miss one. While two
   * differ and nothing new comes, they exchange everything, at doubling intervals if it does not
   * help. And where hundreds join at once, exchanges carry what gossip cannot.
   */
  compare(peer: Statement, digest: number): void {
    const context = this.#context;
    const { members, nowMs, changedMs, switches } = context;
    if (!switches.comparesDigests) return;
    if (digest === members.digest()) return;
    const isSilent = context.queue.size === 0 && nowMs - changedMs >= REPAIR_INTERVAL_MS;
    if (!isSilent && !this.#outbox.isBehind()) return;
    const shortestMs = Math.max(REPAIR_INTERVAL_MS, members.size / COMPARED_PER_MS);
    if (changedMs > this.#lastCompareMs) this.#compareIntervalMs = shortestMs;
    if (nowMs - this.#lastCompareMs < this.#compareIntervalMs) return;
    const longestMs = Math.min(this.#compareIntervalMs * 2, context.config.syncIntervalMs);
    this.#compareIntervalMs = Math.max(shortestMs, longestMs);
    this.#lastCompareMs = nowMs;
    this.#open(peer.address, { kind: 'sync' });
  }

  join(address: string, callerId: number | undefined): void {
    if (address === this.#context.self.address) {
      this.#joined(callerId, 'SWIM_ERR_OWN_ADDRESS');
    } else if (!this.#open(address, { kind: 'join', callerId })) {
      this.#joined(callerId, 'SWIM_ERR_BUSY');
    }
  }

  /** The answer to a caller when this member does not run or has left. */
  refuseJoin(callerId: number | undefined): void {
    this.#joined(callerId, 'SWIM_ERR_STOPPED');
  }

  /** This member has left: those who wait for a join hear so. */
  end(): void {
    for (const { purpose } of this.#pending.values()) {
      if (purpose.kind === 'join') this.refuseJoin(purpose.callerId);
    }
    this.#pending.clear();
  }

  /** Asks a silent target over a stream, where no datagram is lost. */
  probe(record: Statement, seq: number): void {
    this.#open(record.address, { kind: 'probe', seq, target: record.name });
  }

  onRequest(streamId: number, from: string, bytes: Uint8Array): void {
    const answer = this.#replyTo(from, bytes);
    this.#context.counters.streamBytesOut += answer?.length ?? 0;
    this.#context.emit({ type: 'stream-reply', streamId, bytes: answer });
  }

  /** @param refused by the host: no process listens there */
  onResponse(requestId: number, bytes: Uint8Array | null, refused = false): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#pending.delete(requestId);
    const { purpose, address } = pending;
    if (purpose.kind === 'probe' && refused) {
      this.#onRefused(purpose.seq, purpose.target);
      return;
    }
    const error = this.#take(pending, bytes);
    if (purpose.kind === 'join') {
      this.#joined(purpose.callerId, error);
    } else if (error === 'SWIM_ERR_OWN_ADDRESS') {
      this.#seeds.drop(address);
    } else if (error !== undefined && OPERATORS_MATTER.has(error)) {
      const isOurs = purpose.kind === 'sync' && error === 'SWIM_ERR_NAME_TAKEN';
      if (purpose.kind === 'seed' || isOurs) this.#notices.say(error, address);
    } else if (error !== undefined && purpose.kind === 'seed') this.#seeds.complain(error, address);
  }

  #replyTo(from: string, bytes: Uint8Array): Uint8Array | null {
    const context = this.#context;
    const message = decodeMessage(bytes, context.versions);
    if (typeof message === 'string') {
      return this.#refuseUndecoded(message);
    }
    const { header, body } = message;
    if (body.type === 'ping') {
      if (header.clusterId !== context.clusterId || body.target !== context.self.name) return null;
      const { seq, target } = body;
      const known = context.members.get(header.name);
      if (known !== undefined && header.bootEpoch < known.bootEpoch) {
        context.counters.staleSender++;
        return null;
      }
      const digest = context.members.digest();
      return this.#outbox.encodeBare({ type: 'ack', seq, digest, target }, header.version);
    }
    if (body.type !== 'sync' && body.type !== 'digest' && body.type !== 'sync-leaves') return null;
    // Ourselves, through another of our addresses: the answer tells us so.
    if (this.#isSelf(message)) return this.#answerSelf(message);
    if (header.clusterId === '' && context.clusterId === '') {
      return this.#outbox.encodeBare(
        { type: 'sync-refused', reason: 'no-cluster' },
        header.version,
      );
    }
    if (!this.#isUnderstood(message)) {
      this.#notices.say('SWIM_ERR_VERSION', from);
      return this.#outbox.encodeBare(
        { type: 'sync-refused', reason: 'other-version' },
        header.version,
      );
    }
    if (context.clusterId === '') this.#adoptCluster(header.clusterId);
    if (header.clusterId !== '' && header.clusterId !== context.clusterId) {
      context.counters.otherCluster++;
      this.#notices.say('SWIM_ERR_OTHER_CLUSTER', from);
      return this.#outbox.encodeBare(
        { type: 'sync-refused', reason: 'other-cluster' },
        header.version,
      );
    }
    if (this.#isTaken(message)) {
      return this.#outbox.encodeBare(
        { type: 'sync-refused', reason: 'name-taken' },
        header.version,
      );
    }
    // Merged first, so that the answer contains our refutations.
    this.#merge(message);
    if (body.type === 'digest') {
      const branches = new DigestTree(context).differingBranches(body.branches);
      return this.#outbox.encodeFull({ type: 'digest-ack', branches }, [], header.version);
    }
    const { version } = header;
    if (body.type === 'sync') {
      return this.#outbox.encodeFull({ type: 'sync-ack' }, context.members.all(), version);
    }
    return this.#outbox.encodeRecords(
      { type: 'sync-ack' },
      membersIn(context, body.leaves),
      version,
    );
  }

  #take(pending: Pending, bytes: Uint8Array | null): SwimErrorCode | undefined {
    const context = this.#context;
    const { purpose } = pending;
    if (bytes === null) return 'SWIM_ERR_UNREACHABLE';
    const message = decodeMessage(bytes, context.versions);
    if (typeof message === 'string') {
      if (message === 'other-version') {
        context.counters.otherVersion++;
        return 'SWIM_ERR_VERSION';
      }
      context.counters.malformed++;
      return 'SWIM_ERR_MALFORMED';
    }
    const { header, body } = message;
    if (purpose.kind === 'probe') {
      const sameCluster = header.clusterId === context.clusterId;
      if (sameCluster && body.type === 'ack' && header.name === purpose.target) {
        this.#onAck(purpose.seq, body.target);
      }
      return undefined;
    }
    if (body.type === 'sync-refused') {
      return REFUSALS[body.reason];
    }
    const wanted = pending.step.kind === 'digest' ? 'digest-ack' : 'sync-ack';
    if (this.#isSelf(message)) return 'SWIM_ERR_OWN_ADDRESS';
    if (header.clusterId === '') return 'SWIM_ERR_NO_CLUSTER';
    if (context.clusterId === '') this.#adoptCluster(header.clusterId);
    if (header.clusterId !== context.clusterId) return 'SWIM_ERR_OTHER_CLUSTER';
    if (body.type !== wanted) return 'SWIM_ERR_MALFORMED';
    const isNewcomer = context.members.size === 1;
    this.#merge(message);
    if (isNewcomer && context.switches.tellsOldNewsLess) this.#outbox.disseminate(context.self);
    if (body.type === 'digest-ack') {
      const leaves = new DigestTree(context).differingLeaves(body.branches);
      if (leaves.length > 0) this.#request(pending.address, purpose, { kind: 'leaves', leaves });
      return undefined;
    }
    const { self } = context;
    const usurped = message.updates.some(
      (update) =>
        update.name === self.name &&
        update.bootEpoch > self.bootEpoch &&
        update.address !== self.address &&
        isPresent(update),
    );
    return usurped ? 'SWIM_ERR_NAME_CONFLICT' : undefined;
  }

  /** Tells our versions to a peer of another one, in the only bytes that it may understand. */
  #refuseUndecoded(failure: DecodeFailure): Uint8Array | null {
    const context = this.#context;
    if (failure === 'malformed') {
      context.counters.malformed++;
      return null;
    }
    context.counters.otherVersion++;
    return this.#outbox.encodeBare({ type: 'sync-refused', reason: 'other-version' });
  }

  /**
   * Whether a member that seems to live at another address has the joiner's name, whatever their boot
   * epochs. If the joiner were believed, a process named by mistake would end the living one. So the
   * member is probed. If it is gone, as after a move to another address, the joiner asks again and gets
   * in once that is found.
   */
  #isTaken({ header, updates }: Message): boolean {
    const { members, self } = this.#context;
    const known = members.get(header.name);
    if (known === undefined || !isPresent(known)) return false;
    const joiner = updates.find((update) => update.name === header.name);
    if (joiner === undefined || joiner.address === known.address) return false;
    if (known.name !== self.name) this.#verify(known);
    return true;
  }

  /** Whether a joiner shares a version with every present member: otherwise some would call it faulty. */
  #isUnderstood({ header, updates }: Message): boolean {
    const { members } = this.#context;
    const joiner = updates.find((update) => update.name === header.name);
    if (joiner === undefined) return true;
    for (const member of members.all()) {
      if (isPresent(member) && commonVersion(member.versions, joiner.versions) === undefined) {
        return false;
      }
    }
    return true;
  }

  /**
   * Takes in what an exchange brought.
   *
   * While there is more to tell than gossip carries, all members exchange with each other, so it is news
   * to few. And what a newcomer is told, the others knew before.
   */
  #merge({ header, updates, events }: Message): void {
    const context = this.#context;
    const isNewcomer = context.members.size === 1;
    const isKnown = this.#outbox.isBehind(isNewcomer ? updates.length : 0);
    const isNews = !isKnown || !context.switches.tellsOldNewsLess;
    for (const update of updates) {
      // A whole state may be old: its dead members are only suspected, as in memberlist.
      const isDoubted = update.state === 'faulty' && !context.switches.ownVerdicts;
      const taken = isDoubted
        ? { ...update, state: 'suspect' as const, accuser: header.name }
        : update;
      this.#membership.apply(taken, header.name, isNews);
    }
    this.#delivery.hear(events);
  }

  #adoptCluster(clusterId: string): void {
    this.#context.clusterId = clusterId;
    this.#context.memberSinceMs = this.#context.nowMs;
    this.#context.emit({ type: 'cluster-id', clusterId });
  }

  /** Through another of our addresses; or a process that has our name, and even our boot epoch. */
  #answerSelf({ header, updates }: Message): Uint8Array {
    const context = this.#context;
    const { self } = context;
    const twin = updates.find(
      ({ name, address }) => name === self.name && address !== self.address,
    );
    if (twin === undefined) return this.#outbox.encodeBare({ type: 'sync-ack' }, header.version);
    this.#notices.say('SWIM_ERR_NAME_CLAIMED', twin.address);
    return this.#outbox.encodeBare({ type: 'sync-refused', reason: 'name-taken' }, header.version);
  }

  #isSelf(message: Message): boolean {
    const { self } = this.#context;
    return message.header.name === self.name && message.header.bootEpoch === self.bootEpoch;
  }

  #open(address: string, purpose: Purpose): boolean {
    const context = this.#context;
    if (this.#pending.size >= STREAMS_MAX) return false;
    if (purpose.kind === 'seed' || purpose.kind === 'sync') {
      for (const other of this.#pending.values()) {
        if (other.address === address && other.purpose.kind === purpose.kind) return false;
      }
    }
    if (purpose.kind !== 'probe') context.counters.syncs++;
    const isWhole = purpose.kind === 'join' || context.members.size <= WHOLE_MEMBERS_MAX;
    this.#request(address, purpose, { kind: isWhole ? 'whole' : 'digest' });
    return true;
  }

  #request(address: string, purpose: Purpose, step: Step): void {
    const context = this.#context;
    this.#lastRequestId++;
    const requestId = this.#lastRequestId;
    this.#pending.set(requestId, { address, purpose, step });
    const bytes = purpose.kind === 'probe' ? this.#pingOf(purpose) : this.#syncOf(step);
    context.counters.streamBytesOut += bytes.length;
    const isOwn = purpose.kind === 'probe';
    context.emit({ type: 'stream-open', requestId, to: address, bytes, isOwn });
  }

  #pingOf({ seq, target }: { readonly seq: number; readonly target: string }): Uint8Array {
    const { members } = this.#context;
    const record = members.get(target);
    return this.#outbox.encodeBare({
      type: 'ping',
      seq,
      digest: members.digest(),
      target,
      targetBootEpoch: record?.bootEpoch ?? 0,
      targetIncarnation: record?.incarnation ?? 0,
    });
  }

  #syncOf(step: Step): Uint8Array {
    const context = this.#context;
    if (step.kind === 'digest') {
      const branches = new DigestTree(context).branches();
      return this.#outbox.encodeFull({ type: 'digest', branches }, []);
    }
    if (step.kind === 'whole')
      return this.#outbox.encodeFull({ type: 'sync' }, context.members.all());
    const { leaves } = step;
    return this.#outbox.encodeRecords({ type: 'sync-leaves', leaves }, membersIn(context, leaves));
  }

  #joined(callerId: number | undefined, errorCode: SwimErrorCode | undefined): void {
    if (callerId === undefined) return;
    this.#context.emit(
      errorCode === undefined
        ? { type: 'join-result', requestId: callerId, ok: true }
        : { type: 'join-result', requestId: callerId, ok: false, errorCode },
    );
  }
}
