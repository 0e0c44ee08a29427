import { Actor, type ActorEnv, CALM_AFTER_MS } from './actors.ts';
import type { ProtocolVersion } from './wire.ts';

/** Hops of a client on the healed cluster. */
const LAST_HOPS = 6;

/** Connects with a Will and ends: with DISCONNECT 0x00, with 0x04, abnormally, or by takeover. */
export class Willer extends Actor {
  readonly #delaySeconds: number;
  #hopsLeft = 0;

  constructor(
    env: ActorEnv,
    o: {
      clientId: string;
      version: ProtocolVersion;
      persistent: boolean;
      delaySeconds: number;
      sessionExpirySeconds?: number;
    },
  ) {
    super(env, o);
    this.#delaySeconds = o.version === 5 ? o.delaySeconds : 0;
  }

  override start(): void {
    // Wills count only once the witness is subscribed, so nothing happens before the drill.
  }

  override unfinished(): string | undefined {
    if (this.#hopsLeft > 0) return `${this.name} has ${this.#hopsLeft} hops to do`;
    if (this.client.connection === undefined || this.client.connection.goneAtMs !== undefined) {
      return undefined;
    }
    return `${this.name} is still connected`;
  }

  protected override onPhase(): void {
    if (this.phase === 'drill') this.reconnectAfter(this.random.next() * 500);
    else if (this.phase === 'settle') {
      this.turn++;
      if (this.client.connected) this.client.disconnect();
      else this.client.breakConnection(false);
      this.turn++;
      // In calm, where a Will after DISCONNECT has no excuse.
      if (this.does('hopAtOnce')) this.#hopsLeft = LAST_HOPS;
      if (this.#hopsLeft > 0) this.reconnectAfter(CALM_AFTER_MS);
    }
  }

  /** On the healed cluster: from node to node, each time with DISCONNECT and at once. */
  #hop(): void {
    this.turn++;
    this.client.disconnect();
    this.#hopsLeft--;
    if (this.#hopsLeft > 0) this.connect(this.pickOther());
  }

  protected override onClosed(): void {
    if (this.phase === 'drill') this.reconnectAfter(this.around(this.env.workload.awayMs));
    else if (this.#hopsLeft > 0) this.reconnectAfter(0);
  }

  protected override connect(node = this.pickNode()): void {
    this.turn++;
    this.client.connect(node, {
      will: { topic: `w/${this.name}`, qos: 2, delaySeconds: this.#delaySeconds },
    });
  }

  protected override onConnected(): void {
    if (this.phase === 'settle') this.afterTurn(this.random.next() * 200, () => this.#hop());
    else this.afterTurn(this.around(this.env.workload.stayMs), () => this.#end());
  }

  #end(): void {
    const how = this.random.next();
    if (how < 0.4) {
      this.turn++;
      this.client.disconnect(how < 0.3 ? 0 : 4);
      if (this.phase === 'drill' && this.does('hopAtOnce') && this.random.chance(0.7))
        this.connect(this.pickOther());
      else this.onClosed();
    } else if (how < 0.9) this.client.breakConnection(how > 0.7);
    else this.connect();
  }
}

/**
 * One of two devices with the same Client Identifier: connects now and then, also while the other is connected.
 * Sessions end with their connections; only who is connected matters.
 */
export class Twin extends Actor {
  constructor(env: ActorEnv, o: { clientId: string; device: string; version: ProtocolVersion }) {
    super(env, {
      clientId: o.clientId,
      name: `${o.clientId}${o.device}`,
      persistent: false,
      version: o.version,
    });
  }

  override unfinished(): string | undefined {
    return undefined;
  }

  protected override onConnected(): void {
    this.client.subscribe([{ filter: `t/${this.name}`, qos: 1 }]);
  }

  /** The one that lost comes back after a while, so that the two do not chase each other. */
  protected override onClosed(): void {
    if (this.phase === 'drill') this.reconnectAfter(this.around(1500));
  }

  protected override onPhase(): void {
    if (this.phase === 'drill' && !this.client.connected) this.reconnectAfter(this.around(500));
  }
}
