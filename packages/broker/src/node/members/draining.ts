/**
 * Clients of a node that leaves: new ones are refused, those present are sent elsewhere, not all at once.
 *
 * MQTT 5 clients hear Server moved with a Server Reference (MQTT 5 §4.11); earlier versions know no way
 * to tell, so that their connections are just closed.
 */
import type { Timings } from '../../config-schema.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Membership } from './membership.ts';

/** Clients sent elsewhere in a second, so that those that stay can open their sessions meanwhile. */
const DRAINED_PER_SECOND_MAX = 500;
/** What a tick that comes late may make good, in seconds. */
const BURST_SECONDS = 0.1;
/** Addresses in one Server Reference. */
const REFERENCES_MAX = 8;

export interface DrainedConnection {
  readonly isOpen: boolean;
  /** Ends it, and tells the client why. @param graceMs the client may be back before its Will is sent */
  shutdown(reasonCode: number, graceMs: number): void;
}

/** What of its node this needs. */
export interface DrainingNode {
  readonly name: string;
  readonly membership: Membership;
  readonly timings: Pick<Timings, 'willNodeGraceMs'>;
  readonly connections: ReadonlyMap<number, DrainedConnection>;
}

export class Draining {
  readonly #node: DrainingNode;
  #credit = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #turn = 0;

  constructor(node: DrainingNode) {
    this.#node = node;
  }

  /** This node is being removed. */
  get leaving(): boolean {
    return this.#node.membership.get(this.#node.name)?.meta.leaving ?? false;
  }

  /** No client is served here any more. */
  get done(): boolean {
    for (const connection of this.#node.connections.values()) if (connection.isOpen) return false;
    return true;
  }

  /**
   * Where clients may go instead: addresses for MQTT of other nodes, separated by spaces; '' for nowhere.
   *
   * Each call begins with the next one, so that clients that take the first are spread.
   */
  serverReference(): string {
    const addresses: string[] = [];
    for (const { name, state, meta } of this.#node.membership.members)
      if (name !== this.#node.name && state === 'alive' && !meta.leaving && meta.mqtt !== '')
        addresses.push(meta.mqtt);
    if (addresses.length === 0) return '';
    const first = this.#turn++ % addresses.length;
    return [...addresses.slice(first), ...addresses.slice(0, first)]
      .slice(0, REFERENCES_MAX)
      .join(' ');
  }

  tick(nowMs: number): void {
    if (!this.leaving) return;
    const seconds = Math.min(BURST_SECONDS, (nowMs - this.#lastMs) / 1000);
    this.#lastMs = nowMs;
    this.#credit = Math.min(this.#credit, 1) + seconds * DRAINED_PER_SECOND_MAX;
    for (const connection of this.#node.connections.values()) {
      if (this.#credit < 1) return;
      if (!connection.isOpen) continue;
      this.#credit--;
      connection.shutdown(ReasonCode.ServerMoved, this.#node.timings.willNodeGraceMs);
    }
  }
}
