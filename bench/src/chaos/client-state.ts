import type { MessageId } from './history.ts';

/** A PUBLISH of ours that is not acknowledged to its end: by PUBACK, or by PUBCOMP. */
export interface OpenPublish {
  readonly packetId: number;
  readonly message: MessageId;
  readonly payload: string;
}

/**
 * The Session State of an MQTT client [MQTT-3.1.2.4, "The Session State in the Client"]: what
 * survives every connection and every change of server.
 *
 * ```text
 * ours, QoS 1:  publish ──PUBACK──▶ gone
 * ours, QoS 2:  publish ──PUBREC──▶ release ──PUBCOMP──▶ gone
 * theirs, QoS 2: PUBLISH (new: deliver, hold the id) … PUBREL ──▶ id free
 * ```
 */
export class ClientState {
  /** PUBLISHes without PUBACK or PUBREC, in the order in which they were sent. */
  readonly publishing = new Map<number, OpenPublish>();
  /** QoS 2 messages with PUBREC and without PUBCOMP, in the order of their PUBRECs. */
  readonly releasing = new Map<number, OpenPublish>();
  /** Packet identifiers of received QoS 2 messages without PUBREL. */
  readonly incoming = new Set<number>();
  #lastId = 0;

  /** Everything that still uses a packet identifier of ours. */
  get outstanding(): number {
    return this.publishing.size + this.releasing.size;
  }

  /** Stores a message and gives it a free packet identifier [MQTT-2.2.1-3]. */
  begin(message: MessageId, payload: string): OpenPublish {
    const publish = { packetId: this.freeId(), message, payload };
    this.publishing.set(publish.packetId, publish);
    return publish;
  }

  /** A packet identifier that nothing of ours uses; SUBSCRIBE takes one too. */
  freeId(): number {
    for (let tries = 0; tries < 65_535; tries++) {
      this.#lastId = (this.#lastId % 65_535) + 1;
      if (!this.publishing.has(this.#lastId) && !this.releasing.has(this.#lastId)) {
        return this.#lastId;
      }
    }
    throw new RangeError('all 65,535 packet identifiers are in use');
  }

  /** PUBREC: the PUBLISH must not be sent again, PUBREL must [MQTT-4.3.3-4]. */
  recorded(packetId: number): OpenPublish | undefined {
    const publish = this.publishing.get(packetId);
    if (!publish) return undefined;
    this.publishing.delete(packetId);
    this.releasing.set(packetId, publish);
    return publish;
  }

  /** A received QoS 2 PUBLISH: true if it is a new message, false if its id is held already. */
  hold(packetId: number): boolean {
    if (this.incoming.has(packetId)) return false;
    this.incoming.add(packetId);
    return true;
  }

  /** The server has no session: all state goes [MQTT-3.2.2-5]. Returns what was never acknowledged. */
  discard(): OpenPublish[] {
    const forgotten = [...this.publishing.values()];
    this.publishing.clear();
    this.releasing.clear();
    this.incoming.clear();
    return forgotten;
  }
}
