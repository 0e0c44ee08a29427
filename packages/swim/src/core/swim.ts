import { SwimError } from '../errors.ts';
import { decodeMessage } from './codec.ts';
import { Context } from './context.ts';
import type { SwimCounters } from './counters.ts';
import type { StableView } from './cut-detector.ts';
import type { SwimEffect, SwimEvent, TimerTask } from './event.ts';
import { isEventSized } from './event-codec.ts';
import type { EventDelivery } from './event-delivery.ts';
import { checkConfig, checkIdentity, checkMeta, checkUnwell } from './identity.ts';
import { Membership } from './membership.ts';
import { assertNever, type Message, SWIM_VERSIONS, type SwimMember } from './message.ts';
import type { SwimOptions } from './options.ts';
import type { Origin, Outbox } from './outbox.ts';
import { type Parts, partsOf } from './parts.ts';
import { Prober } from './probe.ts';
import { Reconnecting } from './reconnecting.ts';
import { sizesOf } from './sizes.ts';
import { StatementTable } from './statement.ts';
import { Sync } from './sync.ts';
import type { Timers } from './timers.ts';
import { ViewWatch } from './view-watch.ts';

/** Members told of a departure directly; gossip tells the rest, and these again. */
const LEAVE_DIRECT_MAX = 16;

/**
 * The membership protocol as a state machine: events in, effects out, no clock and no socket.
 *
 * Deterministic: the same options, random numbers, events and times give the same effects.
 *
 * @see Das, Gupta, Motivala: SWIM (2002); Dadgar, Phillips, Currey: Lifeguard (2017)
 */
export class Swim {
  readonly #context: Context;
  readonly #parts: Parts;
  readonly #timers: Timers;
  readonly #outbox: Outbox;
  readonly #delivery: EventDelivery;
  readonly #membership: Membership;
  readonly #prober: Prober;
  readonly #sync: Sync;
  readonly #reconnecting: Reconnecting;
  readonly #viewWatch: ViewWatch;

  /** @throws SwimError SWIM_ERR_CONFIG, SWIM_ERR_META_TOO_LARGE */
  constructor(options: SwimOptions) {
    checkIdentity(options);
    checkConfig(options.config);
    checkMeta(options.meta);
    this.#context = new Context({
      config: options.config,
      random: options.random,
      clusterId: options.clusterId,
      versions: options.versions ?? SWIM_VERSIONS,
      table: options.table ?? new StatementTable(),
      hostOf: options.hostOf,
      switches: options.switches,
      known: options.known,
      self: {
        name: options.name,
        bootEpoch: options.bootEpoch,
        incarnation: 0,
        state: 'alive',
        address: options.address,
        meta: options.meta.slice(),
        unwell: false,
      },
    });
    const parts = partsOf(this.#context);
    this.#parts = parts;
    this.#timers = parts.timers;
    this.#outbox = parts.outbox;
    this.#delivery = parts.delivery;
    this.#membership = new Membership(parts, {
      verify: (record) => this.#prober.begin(record, 'hint'),
      lookAround: () => this.#prober.lookAround(),
      onState: options.onState,
    });
    this.#prober = new Prober(parts, this.#membership, (record, seq) =>
      this.#sync.probe(record, seq),
    );
    this.#sync = new Sync(
      parts,
      this.#membership,
      (seq, target) => this.#prober.onStreamAck(seq, target),
      (seq, target) => this.#prober.onRefused(seq, target),
      (record) => this.#prober.begin(record, 'hint'),
    );
    this.#reconnecting = new Reconnecting(parts, this.#prober, this.#sync);
    this.#viewWatch = new ViewWatch(this.#context, parts.timers);
  }

  /** The cluster's id; empty until founded or learned. */
  get clusterId(): string {
    return this.#context.clusterId;
  }

  get counters(): Readonly<SwimCounters> {
    return this.#context.counters;
  }

  /** Lifeguard's local health score: 0 is well. */
  get localHealth(): number {
    return this.#context.health.score;
  }

  /**
   * Every member known, this one included, sorted by name; faulty and departed ones too, until
   * they are forgotten. The array never changes: after a change there is another.
   */
  members(): readonly SwimMember[] {
    return this.#context.members.members();
  }

  /** What is held now, by kind: each within a bound, whatever peers send. */
  sizes(): Readonly<Record<string, number>> {
    return sizesOf(this.#parts, this.#membership, this.#prober, this.#sync);
  }

  /** The members that are in: see {@link StableView}. Changes with the effect `view-changed` only. */
  view(): StableView {
    return this.#context.cut.view();
  }

  /** One member; undefined if it is not known. */
  member(name: string): SwimMember | undefined {
    return this.#context.members.get(name);
  }

  /** Present members, this one included. */
  get presentCount(): number {
    return this.#context.members.presentCount();
  }

  /**
   * Takes one event and says what is to be done about it, in order.
   *
   * Never throws on what peers send. `nowMs` is monotonic and never less than at the last call.
   *
   * @throws SwimError SWIM_ERR_META_TOO_LARGE on `set-meta`; SWIM_ERR_EVENT_SIZE, SWIM_ERR_EVENT_RATE
   * and SWIM_ERR_STOPPED on `broadcast`; no state changes
   */
  step(event: SwimEvent, nowMs: number): SwimEffect[] {
    const context = this.#context;
    context.nowMs = nowMs;
    if (context.phase === 'idle') this.#stepIdle(event);
    else if (context.phase !== 'left') this.#stepRunning(event);
    else this.#refuse(event);
    context.emitChange();
    if (context.phase !== 'idle') this.#viewWatch.look();
    return context.takeEffects();
  }

  /** No request waits for ever for a member that is gone. */
  #refuse(event: SwimEvent): void {
    const context = this.#context;
    switch (event.type) {
      case 'broadcast':
        throw new SwimError('SWIM_ERR_STOPPED');
      case 'stream-request':
        context.emit({ type: 'stream-reply', streamId: event.streamId, bytes: null });
        return;
      case 'join':
        this.#sync.refuseJoin(event.requestId);
        return;
      default:
        return;
    }
  }

  #stepIdle(event: SwimEvent): void {
    const context = this.#context;
    switch (event.type) {
      case 'start':
        this.#start(event.seeds);
        return;
      case 'set-meta':
        this.#setMeta(event.meta);
        return;
      case 'set-unwell':
        this.#setUnwell(event.unwell);
        return;
      case 'leave':
        context.phase = 'left';
        context.emit({ type: 'left' });
        return;
      default:
        this.#refuse(event);
        return;
    }
  }

  #stepRunning(event: SwimEvent): void {
    switch (event.type) {
      case 'start':
        return;
      case 'seeds':
        if (this.#context.phase === 'running') this.#sync.setSeeds(event.seeds);
        return;
      case 'packet':
        this.#onPacket(event.from, event.bytes);
        return;
      case 'timer': {
        const timer = this.#timers.take(event.token);
        if (timer !== undefined) this.#onTimer(timer.task, timer.late);
        return;
      }
      case 'stalled':
        this.#timers.noteStall();
        return;
      case 'stream-request':
        this.#sync.onRequest(event.streamId, event.from, event.bytes);
        return;
      case 'stream-response':
        this.#sync.onResponse(event.requestId, event.bytes, event.refused);
        return;
      case 'join':
        if (this.#context.phase === 'running') this.#sync.join(event.address, event.requestId);
        else this.#refuse(event);
        return;
      case 'set-meta':
        this.#setMeta(event.meta);
        return;
      case 'set-unwell':
        this.#setUnwell(event.unwell);
        return;
      case 'broadcast':
        this.#broadcast(event.name, event.payload);
        return;
      case 'probe-now':
        this.#probeNow(event.name);
        return;
      case 'force-leave':
        this.#forceLeave(event.name);
        return;
      case 'ended':
        this.#reportEnd(event.name, event.bootEpoch);
        return;
      case 'boot-epoch':
        this.#membership.riseTo(event.bootEpoch);
        return;
      case 'leave':
        this.#leave();
        return;
      default:
        assertNever(event);
    }
  }

  #start(seeds: readonly string[]): void {
    const context = this.#context;
    const { config } = context;
    context.phase = 'running';
    context.memberSinceMs = context.nowMs;
    context.touch();
    // Random phases, so that nodes started together do not probe together.
    this.#timers.arm({ kind: 'period' }, context.random() * config.protocolPeriodMs);
    this.#timers.arm({ kind: 'sync' }, (0.5 + context.random()) * config.syncIntervalMs);
    this.#reconnecting.arm();
    this.#sync.start(seeds);
  }

  #onTimer(task: TimerTask, late: boolean): void {
    const context = this.#context;
    switch (task.kind) {
      case 'period':
        if (context.phase !== 'running') return;
        this.#timers.arm(task, context.health.scale(context.config.protocolPeriodMs));
        this.#prober.onPeriod();
        return;
      case 'gossip':
        this.#outbox.gossip();
        if (context.phase === 'leaving' && !context.queue.has(context.self.name)) this.#depart();
        return;
      case 'sync':
        if (context.phase !== 'running') return;
        this.#timers.arm(task, context.config.syncIntervalMs);
        this.#membership.forget();
        this.#sync.onSyncTimer();
        return;
      case 'reconnect':
        if (context.phase === 'running') this.#reconnecting.onTimer();
        return;
      case 'leave':
        this.#depart();
        return;
      case 'cut':
        // Every step ends with it.
        return;
      case 'suspicion':
        this.#membership.onSuspicionTimer(task.name, late || this.#timers.isStalling());
        return;
      case 'probe':
        if (context.phase === 'running') this.#prober.onTimer(task.seq, task.phase, late);
        return;
      case 'help':
        this.#prober.onHelpTimer(task.seq, task.phase, late);
        return;
      default:
        assertNever(task);
    }
  }

  #onPacket(from: string, bytes: Uint8Array): void {
    const context = this.#context;
    const { counters, members } = context;
    counters.packetsIn++;
    const message = decodeMessage(bytes, context.versions);
    if (typeof message === 'string') {
      counters[message === 'malformed' ? 'malformed' : 'otherVersion']++;
      return;
    }
    const { header, body } = message;
    // A joiner speaks to members only once an exchange has told it which cluster it is in.
    if (context.clusterId === '' || header.clusterId !== context.clusterId) {
      counters.otherCluster++;
      return;
    }
    const { name, bootEpoch } = header;
    const origin = { name, bootEpoch, address: from, bytes: bytes.length };
    const before = members.get(header.name);
    if (before !== undefined && header.bootEpoch < before.bootEpoch) {
      counters.staleSender++;
      if (body.type === 'ping') this.#outbox.answer(origin, { type: 'gossip' }, [header.name]);
      return;
    }
    if (header.name === context.self.name) return;
    const wasDead = before?.state === 'faulty' || before?.state === 'left';
    let refuted = false;
    for (const update of message.updates) {
      if (this.#membership.apply(update, header.name)) refuted = true;
    }
    this.#delivery.hear(message.events);
    const sender = members.get(header.name);
    const strange = sender === undefined || sender.bootEpoch < header.bootEpoch;
    const isBack = wasDead && sender?.state === 'alive';
    if (strange || isBack) this.#sync.repair(strange ? from : sender.address);
    this.#onBody(origin, body, refuted);
  }

  #onBody(origin: Origin, body: Message['body'], refuted: boolean): void {
    const context = this.#context;
    const { self } = context;
    const sender = context.members.get(origin.name);
    const own = refuted ? [self.name] : [];
    if ((body.type === 'ping' || body.type === 'ack') && sender !== undefined) {
      this.#sync.compare(sender, body.digest);
    }
    switch (body.type) {
      case 'ping': {
        const { seq, target } = body;
        if (target !== self.name) {
          this.#outbox.answer(origin, { type: 'not-me', seq, target }, [self.name]);
          return;
        }
        const current =
          body.targetBootEpoch === self.bootEpoch && body.targetIncarnation === self.incarnation;
        const digest = context.members.digest();
        const told = current ? own : [self.name];
        this.#outbox.answer(origin, { type: 'ack', seq, digest, target }, told);
        return;
      }
      case 'ping-req':
        this.#prober.onPingReq(origin, body);
        break;
      case 'ack':
        this.#prober.onAck(body.seq, body.target);
        break;
      case 'nack':
        this.#prober.onNack(body.seq, body.target);
        break;
      case 'not-me':
        this.#prober.onNotMe(body.seq, body.target, origin.address);
        break;
      case 'look':
        this.#prober.onLook(origin, body);
        break;
      case 'refused':
        this.#prober.onWitness(body.seq, body.target, origin.name);
        break;
      case 'gossip':
        break;
      case 'sync':
      case 'sync-ack':
      case 'sync-refused':
      case 'digest':
      case 'digest-ack':
      case 'sync-leaves':
        // Streams only: a datagram could be forged by anyone who knows the address.
        context.counters.malformed++;
        break;
      default:
        assertNever(body);
    }
    if (refuted) this.#outbox.answer(origin, { type: 'gossip' }, own);
  }

  #setMeta(meta: Uint8Array): void {
    checkMeta(meta);
    this.#membership.renew({ meta: meta.slice() });
  }

  #setUnwell(unwell: boolean): void {
    checkUnwell(unwell);
    if (this.#context.self.unwell !== unwell) this.#membership.renew({ unwell });
  }

  #broadcast(name: string, payload: Uint8Array): void {
    const context = this.#context;
    if (!isEventSized(name, payload)) throw new SwimError('SWIM_ERR_EVENT_SIZE');
    if (context.phase !== 'running') throw new SwimError('SWIM_ERR_STOPPED');
    const event = context.events.broadcast(name, payload, context.nowMs);
    if (event === undefined) throw new SwimError('SWIM_ERR_EVENT_RATE');
    this.#delivery.deliver(event);
  }

  #probeNow(name: string): void {
    const { members, self, phase } = this.#context;
    const record = members.get(name);
    if (record === undefined || name === self.name || phase !== 'running') return;
    if (record.state === 'left') return;
    this.#prober.begin(record, record.state === 'faulty' ? 'faulty' : 'hint');
  }

  #forceLeave(name: string): void {
    const { members, phase } = this.#context;
    const record = members.get(name);
    if (record !== undefined && phase === 'running') this.#membership.forceLeave(record);
  }

  #reportEnd(name: string, bootEpoch: number | undefined): void {
    const { members, self, phase } = this.#context;
    const record = members.get(name);
    if (record === undefined || name === self.name || phase !== 'running') return;
    // Said of a former life: its name lives on.
    if (bootEpoch !== undefined && bootEpoch !== record.bootEpoch) return;
    this.#membership.hearEnd(record);
  }

  #leave(): void {
    const context = this.#context;
    if (context.phase !== 'running') return;
    context.phase = 'leaving';
    const { members } = context;
    members.put(members.intern({ ...context.self, state: 'left' }, ''), context.nowMs);
    const { self } = context;
    context.touch();
    const peers = context.members.pickPeers(LEAVE_DIRECT_MAX);
    if (peers.length === 0) {
      this.#depart();
      return;
    }
    for (const peer of peers)
      this.#outbox.send(peer.address, { type: 'gossip' }, peer, [self.name]);
    this.#outbox.disseminate(self);
    this.#timers.arm({ kind: 'leave' }, context.config.leaveTimeoutMs);
  }

  #depart(): void {
    const context = this.#context;
    context.phase = 'left';
    this.#timers.disarmAll();
    this.#sync.end();
    context.emit({ type: 'left' });
  }
}
