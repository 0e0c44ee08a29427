/** How the leader of a session reaches the client's connection, on this node or another. */
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { ConnectionAddress, Delivery, RetainedZero, Taker } from '../link/delivery-codec.ts';
import { type Give, type GiveFree, Outcome } from '../link/given.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Peers } from '../link/peers.ts';
import type { Clients } from './clients.ts';
import type { Connection } from './connection.ts';
import { onRetainedZero } from './retained-sending.ts';
import { sendPubrel, sendQueued } from './sending.ts';
import { GivenHere } from './sharing.ts';

/** In KICK, where no other connection takes the session over. */
const NO_TAKER: Taker = { node: '', connection: 0 };

export interface ConnectionsHost {
  readonly name: string;
  readonly bootEpoch: number;
  readonly clients: Pick<Clients, 'connections' | 'yields'>;
  readonly peers: Pick<Peers, 'to'>;
  /** A client of a session led here has the batch. */
  onRetainedTaken(clientId: string, token: number): void;
  /** What became of a message that a leader of this node gave. */
  onGiven(token: number, outcome: Outcome): void;
  /** A connection of this node takes messages of groups led here again. */
  onFree(free: GiveFree): void;
}

export class Connections {
  readonly #host: ConnectionsHost;
  readonly #given = new GivenHere();

  constructor(host: ConnectionsHost) {
    this.#host = host;
  }

  /** The connection that is meant: one of this process, not of an earlier one with the same number. */
  #here(to: ConnectionAddress): Connection | undefined {
    const { bootEpoch, clients } = this.#host;
    return to.bootEpoch === bootEpoch ? clients.connections.get(to.connection) : undefined;
  }

  /** @returns false if the gateway cannot be reached now */
  deliver(delivery: Delivery): boolean {
    const { node: gateway } = delivery.to;
    if (gateway === this.#host.name) {
      this.deliverHere(delivery);
      return true;
    }
    const w = this.#host.peers.to(gateway);
    if (!w) return false;
    LinkMessage.Deliver.write(w, delivery);
    return true;
  }

  deliverHere(delivery: Delivery): void {
    const connection = this.#here(delivery.to);
    if (connection) sendQueued(connection, delivery);
  }

  /** Lost if the connection cannot be reached: its gateway attaches anew. */
  sendRetained(to: ConnectionAddress, batch: RetainedZero): void {
    const { name, peers } = this.#host;
    if (to.node === name) return this.retainedHere(name, to, batch);
    const w = peers.to(to.node);
    if (w) LinkMessage.RetainedZero.write(w, to, batch);
  }

  /** @param from the node that leads the session's shard */
  retainedHere(from: string, to: ConnectionAddress, batch: RetainedZero): void {
    const connection = this.#here(to);
    if (!connection) return;
    const { name, peers } = this.#host;
    onRetainedZero(connection, batch, () => {
      if (from === name) return this.#host.onRetainedTaken(connection.clientId, batch.token);
      const w = peers.to(from);
      if (w) LinkMessage.RetainedTaken.write(w, connection.clientId, batch.token);
    });
  }

  /** @returns false if the gateway cannot be reached now */
  give(give: Give): boolean {
    const { node } = give.to;
    if (node === this.#host.name) {
      this.giveHere(node, give);
      return true;
    }
    const w = this.#host.peers.to(node);
    if (!w) return false;
    LinkMessage.Give.write(w, give);
    return true;
  }

  /** @param from the node that leads the group's shard */
  giveHere(from: string, give: Give): void {
    const { bootEpoch, name, peers } = this.#host;
    const { token } = give;
    const { connection } = give.to;
    const answer = (outcome: Outcome) => {
      if (token === 0) return;
      if (from === name) return this.#host.onGiven(token, outcome);
      const w = peers.to(from);
      if (w) LinkMessage.Given.write(w, { token, outcome });
    };
    // An earlier process may have sent it, and its live sessions have ended [MQTT-4.8.2-5].
    if (give.qos === 2 && give.to.bootEpoch !== bootEpoch) return answer(Outcome.Ended);
    this.#given.give(give, this.#here(give.to), {
      node: from,
      answer,
      free: (generation, room, upTo) => {
        const free = { connection, generation, room, upTo };
        if (from === name) return this.#host.onFree(free);
        const w = peers.to(from);
        if (w) LinkMessage.GiveFree.write(w, free);
      },
    });
  }

  /** A new link to the node: what it knew of windows here is void. */
  onLinkUp(node: string): void {
    for (const c of this.#host.clients.connections.values()) c.sharing?.delete(node);
  }

  /** PUBREL for a position whose PUBREC is committed. @returns false if the gateway cannot be reached now */
  pubrel(to: ConnectionAddress, position: number): boolean {
    if (to.node === this.#host.name) {
      this.pubrelHere(to, position);
      return true;
    }
    const w = this.#host.peers.to(to.node);
    if (!w) return false;
    LinkMessage.Pubrel.write(w, to, position);
    return true;
  }

  pubrelHere(to: ConnectionAddress, position: number): void {
    const connection = this.#here(to);
    if (connection) sendPubrel(connection, position);
  }

  /**
   * @param by the connection that takes the session over, if that is why
   * @param yields the session is still that connection's: its node is to send CLOSE
   */
  kick(to: ConnectionAddress, reasonCode: number, by: Taker | null, yields = false): void {
    if (to.node === this.#host.name) return this.kickHere(to, reasonCode, yields, by);
    const w = this.#host.peers.to(to.node);
    if (w) LinkMessage.Kick.write(w, { to, reasonCode, yields, by: by ?? NO_TAKER });
  }

  /** A takeover ends the connection alone; an administrator's kick is an end like any other. */
  kickHere(to: ConnectionAddress, reasonCode: number, yields: boolean, by: Taker | null): void {
    const connection = this.#here(to);
    if (!connection) return;
    if (yields) this.#host.clients.yields(connection, by);
    else if (reasonCode === ReasonCode.SessionTakenOver) connection.disconnect(reasonCode, by);
    else connection.shutdown(reasonCode);
  }
}
