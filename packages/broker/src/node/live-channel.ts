/**
 * QoS 1 and 2 messages for live sessions on another node: in order, acknowledged, sent again on a new
 * link, done when the node's process is gone, since its live sessions went with it.
 */
import type { Reader, Writer } from '../bytes.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../session/operation.ts';
import { SeenSet } from '../session/seen.ts';
import { Wire } from './wire.ts';

interface Pending {
  readonly message: Message;
  readonly rx2: Rx2Id | null;
  readonly done: () => void;
}

export class LiveChannel {
  #next = 1;
  readonly #pending = new Map<number, Pending>();

  get outstanding(): number {
    return this.#pending.size;
  }

  send(w: Writer | null, message: Message, rx2: Rx2Id | null, done: () => void): void {
    const sequence = this.#next++;
    const pending = { message, rx2, done };
    this.#pending.set(sequence, pending);
    if (w) write(w, sequence, pending);
  }

  resend(w: Writer | null): void {
    if (!w) return;
    for (const [sequence, pending] of this.#pending) write(w, sequence, pending);
  }

  onAck(sequence: number): void {
    const pending = this.#pending.get(sequence);
    if (!pending) return;
    this.#pending.delete(sequence);
    pending.done();
  }

  /** The other process has ended. */
  abandon(): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done } of all) done();
  }
}

function write(w: Writer, sequence: number, { message, rx2 }: Pending): void {
  w.u8(Wire.LivePublish);
  w.varint(sequence);
  writeRx2Id(w, rx2);
  writeMessage(w, message);
}

/** What this node has taken from others for its live sessions. */
export class LiveReceived {
  readonly #sources = new Map<string, { bootEpoch: number; lastSeen: number }>();
  readonly #seen = new SeenSet();

  /** @returns the sequence to acknowledge */
  take(peer: string, bootEpoch: number, r: Reader, deliver: (message: Message) => void): number {
    const sequence = r.varint();
    const rx2 = readRx2Id(r);
    const message = readMessage(r);
    let source = this.#sources.get(peer);
    if (!source || source.bootEpoch !== bootEpoch) {
      source = { bootEpoch, lastSeen: 0 };
      this.#sources.set(peer, source);
    }
    if (sequence > source.lastSeen) {
      source.lastSeen = sequence;
      this.once(rx2, () => deliver(message));
    }
    return sequence;
  }

  /** Runs `deliver` unless this QoS 2 message was delivered here before. */
  once(rx2: Rx2Id | null, deliver: () => void): void {
    if (rx2) {
      if (this.#seen.has(rx2)) return;
      this.#seen.add(rx2);
    }
    deliver();
  }
}
