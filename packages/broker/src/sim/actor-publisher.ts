import { Actor, type ActorEnv } from './actors.ts';
import type { ProtocolVersion } from './wire.ts';

/** After how many PUBCOMPs a publisher that reuses identifiers hops. */
const HOP_CHANCE = 0.1;

/** How often a burst of large messages goes before an ordinary one, and what a run has of them. */
const LARGE_CHANCE = 0.05;
const LARGE_BYTES = 1_600_000;

/**
 * Publishes at random intervals with a window, hops now and then, and resends what was not
 * acknowledged. In `settle` it publishes what {@link Publisher.epilogue} asks and finishes.
 */
export class Publisher extends Actor {
  readonly #qos: readonly number[];
  readonly #topics: readonly string[];
  readonly #retainedTopics: readonly string[];
  #epilogueLeft = 0;
  /** What it may still publish in large messages; resending is not counted. */
  #largeBytes = 0;
  readonly #reuses: boolean;

  constructor(
    env: ActorEnv,
    o: {
      clientId: string;
      version: ProtocolVersion;
      persistent: boolean;
      qos: readonly number[];
      topics: readonly string[];
      retainedTopics: readonly string[];
      /** Takes the Packet Identifier of an exchange that has just ended, sometimes elsewhere. */
      reuseId: boolean;
      /** Publishes large messages now and then. */
      large: boolean;
    },
  ) {
    super(env, o);
    this.#reuses = o.reuseId;
    if (o.large) this.#largeBytes = LARGE_BYTES;
    this.#qos = o.qos;
    this.#topics = o.topics;
    this.#retainedTopics = o.retainedTopics;
  }

  override unfinished(): string | undefined {
    if (this.#epilogueLeft > 0) return `${this.name} has ${this.#epilogueLeft} messages to publish`;
    const { size } = this.client.outbox;
    return size > 0 ? `${this.name} has ${size} publishes unanswered` : undefined;
  }

  /** Publishes this many more, on the healed cluster. */
  epilogue(count: number): void {
    this.#epilogueLeft += count;
    if (this.client.connected) this.#work();
  }

  protected override onConnected(): void {
    this.#work();
    this.#hopLater();
  }

  protected override onPhase(): void {
    if (!this.client.connected) return;
    this.#work();
    this.#hopLater();
  }

  /** A hop while the broker may not have closed the exchange everywhere, and the identifier again. */
  protected override onCompleted(): void {
    if (!this.#reuses || this.phase !== 'drill' || !this.random.chance(HOP_CHANCE)) return;
    this.afterTurn(0, () => this.connect());
  }

  #hopLater(): void {
    if (this.phase !== 'drill') return;
    this.afterTurn(this.around(this.env.workload.stayMs * 2), () => {
      if (this.phase !== 'drill') return;
      const how = this.random.next();
      if (how < 0.4) {
        this.turn++;
        this.client.disconnect();
        this.onClosed();
      } else if (how < 0.8) this.client.breakConnection(this.random.chance(0.3));
      else this.connect();
    });
  }

  #work(): void {
    const { turn } = this;
    const next = () => {
      if (this.turn !== turn) return;
      if (this.phase === 'drill') {
        this.#publish();
        this.client.env.scheduler.after(this.around(this.env.workload.publishEveryMs), next);
      } else if (this.phase === 'settle' && this.#epilogueLeft > 0) {
        if (this.#publish()) this.#epilogueLeft--;
        this.client.env.scheduler.after(10, next);
      }
    };
    next();
  }

  /** Several large messages without waiting for an answer, as far as the budget of the run goes. */
  #publishLarge(): void {
    for (let i = this.random.int(2, 8); i > 0 && this.#largeBytes > 0; i--) {
      const padding = this.random.pick([60_000, 150_000, 300_000]);
      this.#largeBytes -= padding;
      const topic = this.random.pick(this.#topics);
      this.client.outbox.publish({ topic, qos: 1, retain: false, deletion: false, padding });
    }
  }

  #publish(): boolean {
    const { outbox } = this.client;
    const large =
      this.#largeBytes > 0 && this.phase === 'drill' && this.random.chance(LARGE_CHANCE);
    if (large) this.#publishLarge();
    if (outbox.size >= this.env.workload.window) return false;
    const retain =
      this.#retainedTopics.length > 0 && this.random.chance(this.env.workload.retainChance);
    const qos = this.random.pick(this.#qos);
    const { paddingMax } = this.env.workload;
    return outbox.publish({
      topic: this.random.pick(retain ? this.#retainedTopics : this.#topics),
      // What a retained QoS 0 write may be in the end is open.
      qos: retain ? Math.max(1, qos) : qos,
      retain,
      deletion: retain && this.random.chance(0.15),
      expirySeconds: !retain && this.does('expire') && this.random.chance(0.5) ? 1 : 0,
      padding: paddingMax === 0 ? 0 : this.random.int(0, paddingMax),
    });
  }
}
