import type { ClientCore } from './client-port.ts';

/** Session Expiry Interval of a client that asks for no other. */
export const DAY_SECONDS = 86_400;
/** Clocks of two machines do not run equally fast. */
const EXPIRY_SLACK_MS = 50;

/**
 * Whether the broker may have let the client's session expire.
 *
 * The broker begins to count when the client leaves, or when it believes that the client's gateway is
 * dead: in unrest it is unknown when that was.
 */
export class ClientExpiry {
  /** What the last CONNECT asked for. */
  wishedSeconds = DAY_SECONDS;
  readonly #client: ClientCore;
  /** In force, or the least that may be. */
  #inForceSeconds = DAY_SECONDS;
  /** When the client left the last connection that had its CONNACK. */
  #leftAtMs: number | undefined;
  /** When the last CONNACK came. */
  #acknowledgedMs = 0;

  constructor(client: ClientCore) {
    this.#client = client;
  }

  get mayHaveExpired(): boolean {
    const { nowMs, options, env } = this.#client;
    if (options.version === 4 || this.#inForceSeconds >= DAY_SECONDS) return false;
    if (this.#leftAtMs === undefined) return true;
    if (env.history.unrest(this.#acknowledgedMs, nowMs)) return true;
    return nowMs - this.#leftAtMs >= this.#inForceSeconds * 1000 - EXPIRY_SLACK_MS;
  }

  /** The session ends with the connection, whenever the broker learns of its end. */
  get endsWithConnection(): boolean {
    return this.#client.options.version === 5 && this.wishedSeconds === 0;
  }

  onConnack(): void {
    this.#inForceSeconds = this.wishedSeconds;
    this.#leftAtMs = undefined;
    this.#acknowledgedMs = this.#client.nowMs;
  }

  /** @param connected whether CONNACK had come */
  onLeft(connected: boolean): void {
    if (connected) this.#leftAtMs ??= this.#client.nowMs;
    // It is unknown whether the CONNECT without an answer has changed it.
    else this.#inForceSeconds = Math.min(this.#inForceSeconds, this.wishedSeconds);
  }
}
