/**
 * Queued messages on their way to the gateways: committed ones only, in order, within the window.
 *
 * A position is sent once per connection by the gateway, however often it is sent to the gateway: after
 * a lost link or a failover everything unsettled is sent again from the front, and the gateway drops
 * what its connection has had.
 */
import { BytesError, Reader } from '../../bytes.ts';
import { ASSIGN_AHEAD } from '../../session/operation/open.ts';
import { SKIPPED_MAX } from '../../session/operation/queue.ts';
import { type Logged, readOperation } from '../../session/operation.ts';
import type { Session } from '../../session/session.ts';
import { entryKey } from '../../shard/keys.ts';
import { decodeEntry } from '../../shard/log.ts';
import type { ConnectionAddress } from '../link/delivery-codec.ts';
import { FanOut } from './fan-out.ts';
import type { Lead } from './parts.ts';

/** Volatile: where delivery to one connection stands. */
interface Pump {
  readonly session: Session;
  readonly epoch: number;
  /** Positions below are committed as "may have been sent". */
  mark: number;
  assigning: boolean;
  /** Identifiers in use are being passed: nothing is sent until that is committed. */
  skipping: boolean;
  reading: boolean;
  /** Nothing is sent before it is attached anew: the link to the gateway was lost. */
  stopped: boolean;
  /** Positions below may have been sent on this connection before this began from the front. */
  readonly sentBelow: number;
}

/** Entries read from disk at once for one session. */
const READ_ENTRIES = 64;
/** An ASSIGN is logged when fewer positions than this are left below the mark. */
const ASSIGN_LOW = ASSIGN_AHEAD / 2;

/** Where the session's connection is. */
export function addressOf(s: Session): ConnectionAddress {
  return { node: s.gateway, bootEpoch: s.gatewayEpoch, connection: s.connection };
}

export class Delivering {
  readonly #leader: Lead;
  readonly #pumps = new Map<string, Pump>();
  readonly #due = new Set<Pump>();
  /** Those for which there was no room on the way to their gateway. */
  #blocked = new Set<Pump>();
  readonly #fanOut = new FanOut();

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  start(): void {
    for (const s of this.#leader.state.sessions.values()) if (s.connected) this.attach(s);
  }

  stop(): void {
    this.#pumps.clear();
    this.#due.clear();
    this.#blocked.clear();
    this.#fanOut.clear();
  }

  /** Sends the session's connection everything unsettled, from the front. */
  attach(s: Session): void {
    this.#rewind(s);
    this.run();
  }

  #rewind(s: Session): void {
    if (!s.connected) return;
    // A session that lives with its connection has its queue at the gateway; a stored one that was
    // resumed has subscriptions here, even if it is to end with this connection.
    if (!s.persistent && s.pending === 0 && !s.subscriptions) return;
    const sentBelow = this.sentBelow(s);
    s.rewind();
    const pump: Pump = {
      session: s,
      epoch: s.epoch,
      mark: s.mark,
      assigning: false,
      skipping: false,
      reading: false,
      stopped: false,
      sentBelow,
    };
    this.#pumps.set(s.clientId, pump);
    this.#due.add(pump);
  }

  /**
   * The link to a gateway is gone, and what was in flight on it may be lost: on the next one nothing goes
   * before that, or the gateway would take the earlier positions for repetitions.
   */
  onLinkDown(gateway: string): void {
    for (const pump of this.#pumps.values())
      if (pump.session.gateway === gateway) pump.stopped = true;
  }

  /** The link to a gateway is up (again). */
  onLinkUp(gateway: string): void {
    // All of them, before any is sent: sending to one sends to all that have something new.
    for (const pump of [...this.#pumps.values()])
      if (pump.session.gateway === gateway) this.#rewind(pump.session);
    this.run();
  }

  /** There is room again on the way to this gateway. */
  onDrained(gateway: string): void {
    if (this.#blocked.size === 0) return;
    const blocked = this.#blocked;
    this.#blocked = new Set();
    for (const pump of blocked) {
      if (pump.session.gateway === gateway) this.#pump(pump);
      else this.#blocked.add(pump);
    }
  }

  ended(s: Session): void {
    const pump = this.#pumps.get(s.clientId);
    if (!pump) return;
    this.#pumps.delete(s.clientId);
    this.#due.delete(pump);
    this.#blocked.delete(pump);
  }

  queued(s: Session): void {
    const pump = this.#pumps.get(s.clientId);
    if (pump) this.#due.add(pump);
    else if (s.connected) this.attach(s);
  }

  settled(clientId: string): void {
    const pump = this.#pumps.get(clientId);
    if (pump) this.#due.add(pump);
  }

  /** First position never sent on the present connection, −1 when it is not known here. */
  sentUpto(s: Session): number {
    const pump = this.#pumps.get(s.clientId);
    // A failover in the middle of the connection leaves the earlier leader's sendings unknown.
    if (pump?.epoch !== s.epoch || this.#leader.since > this.#sinceOf(s)) return -1;
    return Math.max(pump.sentBelow, s.next);
  }

  /** Positions below may have been sent on the present connection. */
  sentBelow(s: Session): number {
    const pump = this.#pumps.get(s.clientId);
    if (pump?.epoch === s.epoch) return Math.max(pump.sentBelow, s.next);
    return this.#leader.since > this.#sinceOf(s) ? s.mark : 0;
  }

  #sinceOf(s: Session): number {
    return this.#leader.replica.log.numberAt(s.epoch)?.counter ?? 0;
  }

  run(): void {
    if (this.#due.size === 0) return;
    for (const pump of [...this.#due]) {
      this.#due.delete(pump);
      this.#pump(pump);
    }
  }

  #pump(pump: Pump): void {
    const { session: s } = pump;
    const { node, replica } = this.#leader;
    if (this.#pumps.get(s.clientId) !== pump || pump.epoch !== s.epoch) return;
    if (pump.reading || pump.stopped || pump.skipping) return;
    if (!s.connected) {
      this.#pumps.delete(s.clientId);
      return;
    }
    let missing = false;
    for (;;) {
      s.next = s.unsettledFrom(s.next);
      if (s.next >= s.tail || s.next >= pump.mark || !this.#windowTakes(s)) break;
      if (s.identifierInUse(s.next)) {
        this.#skip(pump);
        return;
      }
      const ref = s.refAt(s.next);
      if (ref > replica.commit) {
        // Not committed yet: the next commit looks again.
        this.#due.add(pump);
        break;
      }
      const logged = this.#logged(ref);
      if (!logged) {
        missing = true;
        break;
      }
      if (node.peers.full(s.gateway)) {
        this.#blocked.add(pump);
        return;
      }
      if (!this.#send(pump, s.next, logged)) return;
      s.advance();
    }
    if (missing) this.#read(pump);
    if (s.next + ASSIGN_LOW >= pump.mark && s.tail > s.next) this.#assign(pump);
  }

  /** Room for the next message among those under way, in count and bytes; one goes in any case. */
  #windowTakes(s: Session): boolean {
    const { inflightBytes, inflightMessages } = this.#leader.node.limits;
    const underWay = s.pending - s.ahead;
    if (underWay === 0) return true;
    if (underWay >= inflightMessages) return false;
    return s.bytes - s.aheadBytes + s.bytesAt(s.next) <= inflightBytes;
  }

  /** What was never sent moves behind the Packet Identifiers that are in use [MQTT-2.2.1-4]. */
  #skip(pump: Pump): void {
    const { session: s, epoch } = pump;
    const { clientId } = s;
    pump.skipping = true;
    this.#leader.appendOwn(
      () => {
        // What comes late may find other messages acknowledged, or another connection.
        if (this.#pumps.get(clientId) !== pump || s.epoch !== epoch) return null;
        const position = s.next;
        let count = 0;
        while (count < SKIPPED_MAX && s.identifierInUse(position + count)) count++;
        if (count === 0) pump.skipping = false;
        return count === 0 ? null : { type: 'skip', clientId, epoch, position, count };
      },
      () => {
        pump.skipping = false;
        this.#due.add(pump);
      },
    );
    if (!pump.skipping) this.#due.add(pump);
  }

  #logged(ref: number): Logged | null {
    const recent = this.#leader.recent(ref) ?? this.#cache.get(ref) ?? this.#fanOut.kept(ref);
    if (recent) return recent;
    const entry = this.#leader.replica.log.get(ref);
    if (!entry) return null;
    const logged = readOperation(new Reader(entry.operation));
    this.#fanOut.keep(ref, logged);
    return logged;
  }

  /** Entries just read from disk; emptied when their pump has used them. */
  readonly #cache = new Map<number, Logged>();

  #read(pump: Pump): void {
    const { session: s } = pump;
    const { node, shard } = this.#leader;
    const refs: number[] = [];
    let room = node.limits.inflightBytes;
    for (let p = s.next; p < s.tail && refs.length < READ_ENTRIES; p = s.unsettledFrom(p + 1)) {
      room -= s.bytesAt(p);
      if (room < 0 && refs.length > 0) break;
      const ref = s.refAt(p);
      if (ref !== 0 && !this.#logged(ref)) refs.push(ref);
    }
    pump.reading = true;
    node.env.store.getMany(
      refs.map((ref) => entryKey(shard, ref)),
      (values) => {
        pump.reading = false;
        if (this.#pumps.get(s.clientId) !== pump) return;
        values.forEach((value, i) => {
          const logged = value && this.#decode(value, refs[i]!);
          if (logged) {
            this.#cache.set(refs[i]!, logged);
            this.#fanOut.keep(refs[i]!, logged);
          } else this.#lost(pump, refs[i]!);
        });
        this.#pump(pump);
        for (const ref of refs) this.#cache.delete(ref);
      },
    );
  }

  #decode(value: Uint8Array, ref: number): Logged | null {
    try {
      return readOperation(new Reader(decodeEntry(value).operation));
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      const { node, shard } = this.#leader;
      node.env.log('error', 'queued message is damaged on this copy', { shard, index: ref });
      return null;
    }
  }

  /** The entry is not here: settled meanwhile, or corrupt. Another copy may have it: lead elsewhere. */
  #lost(pump: Pump, ref: number): void {
    const { session: s } = pump;
    let held = false;
    for (let p = s.next; p < s.tail && !held; p = s.unsettledFrom(p + 1)) held = s.refAt(p) === ref;
    if (!held) return;
    this.#pumps.delete(s.clientId);
    this.#leader.replica.corrupt('a queued entry cannot be read');
  }

  /** @returns false when the gateway cannot be reached: its link's return starts over */
  #send(pump: Pump, position: number, logged: Logged): boolean {
    const { session: s } = pump;
    const { node } = this.#leader;
    if (s.pubrecs?.has(position)) return node.connections.pubrel(addressOf(s), position);
    const op = logged.operation;
    if (op.type !== 'enq') return true;
    const recipient = this.#fanOut.recipient(logged, s.birth);
    if (!recipient) return true;
    const { message } = op;
    const never = position >= s.dupBelow && position >= pump.sentBelow;
    if (never && message.expiresAtMs > 0 && message.expiresAtMs <= node.env.wallMs()) {
      this.#drop(s, position);
      return true;
    }
    return node.connections.deliver({
      to: addressOf(s),
      position,
      qos: recipient.qos,
      dup: position < s.dupBelow,
      retain: op.retained || recipient.retain,
      copy: op.retained,
      identifiers: recipient.identifiers,
      message,
    });
  }

  /** The message expired before it was sent [MQTT-3.3.2-5]. */
  #drop(s: Session, position: number): void {
    const { clientId, epoch } = s;
    this.#leader.appendOwn(() => ({
      type: 'ack',
      items: [{ clientId, epoch, kind: 'puback', position }],
    }));
  }

  #assign(pump: Pump): void {
    if (pump.assigning) return;
    pump.assigning = true;
    const { clientId, epoch } = pump.session;
    const upto = pump.session.next + 2 * ASSIGN_AHEAD;
    this.#leader.appendOwn(
      () => ({ type: 'assign', clientId, epoch, upto }),
      () => {
        pump.assigning = false;
        pump.mark = Math.max(pump.mark, upto);
        this.#due.add(pump);
      },
    );
  }
}
