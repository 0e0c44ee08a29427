import { Actor, type ActorEnv } from './actors.ts';
import type { ProtocolVersion } from './wire.ts';

/** A subscription that an actor wants; the QoS of a filter never changes within one client. */
export interface Wish {
  readonly filter: string;
  readonly qos: number;
  /** Subscription Identifier. */
  readonly identifier?: number;
}

/**
 * A persistent session that hops: connects anywhere, stays, acknowledges slowly, leaves with or
 * without a word, comes back elsewhere; sometimes subscribes to more, unsubscribes, or starts clean.
 */
export class Subscriber extends Actor {
  /** Held for as long as the session. */
  readonly #constant: readonly Wish[];
  /** Come and go. */
  readonly #fickle: readonly Wish[];
  readonly #mayStartClean: boolean;
  /** Filters that were acknowledged in this session, so far as the client knows. */
  #confirmed = new Set<string>();
  readonly #mayChangeExpiry: boolean;

  constructor(
    env: ActorEnv,
    o: {
      clientId: string;
      version: ProtocolVersion;
      constant: readonly Wish[];
      fickle: readonly Wish[];
      mayStartClean: boolean;
      receiveMaximum: number;
      sessionExpirySeconds?: number;
      /** Asks for another Session Expiry Interval now and then. */
      mayChangeExpiry?: boolean;
      ackDelayMs?: number;
    },
  ) {
    super(env, { ...o, persistent: true });
    this.#mayChangeExpiry = o.mayChangeExpiry === true && o.version === 5;
    this.#constant = o.constant;
    this.#fickle = o.fickle;
    this.#mayStartClean = o.mayStartClean;
  }

  get subscribed(): boolean {
    return this.#constant.every((wish) => this.#confirmed.has(wish.filter));
  }

  override unfinished(): string | undefined {
    if (!this.client.connected) return `${this.name} is not connected`;
    if (!this.subscribed) return `${this.name} is not subscribed`;
    if (!this.client.idle) return `${this.name} has requests open`;
    if (this.client.inbox.open > 0) return `${this.name} has QoS 2 exchanges open`;
    return undefined;
  }

  protected override onConnected(sessionPresent: boolean): void {
    if (!sessionPresent) this.#confirmed.clear();
    const wanted = this.#constant.filter((wish) => !this.#confirmed.has(wish.filter));
    // One packet for all without an identifier, one for each that has one.
    this.client.subscribe(wanted.filter((wish) => wish.identifier === undefined));
    for (const wish of wanted)
      if (wish.identifier !== undefined) this.client.subscribe([wish], wish.identifier);
    this.#live();
  }

  protected override onSubscribed(): void {
    for (const { filter, ackedAtMs, endSentAtMs } of this.client.session?.subscriptions ?? []) {
      if (ackedAtMs !== undefined && endSentAtMs === undefined) this.#confirmed.add(filter);
    }
    if (!this.subscribed) return;
    if (this.phase === 'setup') this.#live();
  }

  protected override onPhase(): void {
    if (this.client.connected) this.#live();
    else if (this.phase === 'settle') this.reconnectAfter(0);
  }

  protected override onClosed(): void {
    const awayMs = this.phase === 'drill' ? this.around(this.env.workload.awayMs) : 50;
    this.reconnectAfter(awayMs);
  }

  protected override connect(node = this.pickNode()): void {
    this.turn++;
    const clean =
      this.phase === 'drill' &&
      this.#mayStartClean &&
      this.random.chance(this.env.workload.cleanStartChance);
    if (clean) this.#confirmed.clear();
    const zombie = this.phase === 'drill' && this.random.chance(0.5);
    const changes = this.phase === 'drill' && this.#mayChangeExpiry && this.random.chance(0.4);
    this.client.connect(node, {
      cleanStart: clean,
      zombie,
      ...(changes ? { expirySeconds: this.random.pick([0, 0, 1, 3, 60]) } : {}),
    });
  }

  /** What to do next on this connection. */
  #live(): void {
    if (this.phase !== 'drill') return;
    this.turn++;
    const leaveMs = this.around(this.env.workload.stayMs);
    const actMs = this.around(this.env.workload.stayMs);
    if (actMs < leaveMs && this.#fickle.length > 0) this.afterTurn(actMs, () => this.#change());
    else this.afterTurn(leaveMs, () => this.#leave());
  }

  #change(): void {
    if (this.phase !== 'drill') return;
    if (this.random.chance(this.env.workload.unsubscribeChance)) {
      const wish = this.random.pick(this.#fickle);
      if (this.#confirmed.has(wish.filter)) {
        this.#confirmed.delete(wish.filter);
        this.client.unsubscribe([wish.filter]);
      } else this.client.subscribe([wish]);
    }
    this.#live();
  }

  #leave(): void {
    if (this.phase !== 'drill') return;
    const how = this.random.next();
    if (how < 0.35) {
      this.turn++;
      this.client.disconnect();
      if (this.does('hopAtOnce') && this.random.chance(0.7)) this.connect(this.pickOther());
      else this.onClosed();
    } else if (how < 0.6) {
      this.client.breakConnection(false);
    } else if (how < 0.75) {
      this.client.breakConnection(true);
    } else {
      // Takeover: a new connection while the broker still believes in the old one.
      this.connect();
    }
  }
}

/** A session that ends with its connection; stays connected and listens. */
export class Transient extends Actor {
  readonly #wishes: readonly Wish[];
  #subscribed = false;

  constructor(
    env: ActorEnv,
    o: { clientId: string; version: ProtocolVersion; wishes: readonly Wish[] },
  ) {
    super(env, { ...o, persistent: false });
    this.#wishes = o.wishes;
  }

  override unfinished(): string | undefined {
    if (!this.client.connected || !this.#subscribed) return `${this.name} is not subscribed`;
    return this.client.idle ? undefined : `${this.name} has requests open`;
  }

  protected override onConnected(): void {
    this.#subscribed = false;
    this.client.subscribe(this.#wishes);
    if (this.phase !== 'drill') return;
    this.afterTurn(this.around(this.env.workload.stayMs * 2), () => {
      if (this.phase === 'drill') this.client.breakConnection(this.random.chance(0.3));
    });
  }

  protected override onSubscribed(): void {
    this.#subscribed = true;
  }
}
