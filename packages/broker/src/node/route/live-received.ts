/**
 * What this node has taken from others for its live sessions.
 *
 * A message whose subscribers are behind waits here, and its sender with it: LiveHeld says so at once and
 * again as a sign of life, LiveAck follows when the subscribers have room.
 */
import type { Message, Rx2Id } from '../../session/message.ts';
import { SeenSet } from '../../session/seen.ts';
import type { LivePublish } from '../link/link-message.ts';
import type { LiveConnection } from './client-port.ts';

type Deliver = (message: Message) => readonly LiveConnection[] | null;

interface Source {
  readonly bootEpoch: number;
  lastSeen: number;
  /** Taken and not acknowledged yet. Bounded by what the sender's clients may have under way. */
  readonly held: Set<number>;
}

interface Taken {
  readonly sequence: number;
  /** It is to be acknowledged later. */
  readonly waits: boolean;
  /** For these, if it came just now. */
  readonly behind: readonly LiveConnection[] | null;
}

export class LiveReceived {
  readonly #sources = new Map<string, Source>();
  readonly #seen = new SeenSet();

  take(peer: string, bootEpoch: number, live: LivePublish, deliver: Deliver): Taken {
    const { sequence, rx2, message } = live;
    const source = this.#source(peer, bootEpoch);
    if (sequence <= source.lastSeen)
      return { sequence, waits: source.held.has(sequence), behind: null };
    source.lastSeen = sequence;
    const behind = this.deliver(rx2, message, deliver);
    if (behind) source.held.add(sequence);
    return { sequence, waits: behind !== null, behind };
  }

  /** It waits no longer. */
  settled(peer: string, bootEpoch: number, sequence: number): void {
    const source = this.#sources.get(peer);
    if (source?.bootEpoch === bootEpoch) source.held.delete(sequence);
  }

  /** The oldest message of every node that waits. */
  eachHeld(tell: (peer: string, sequence: number) => void): void {
    for (const [peer, { held }] of this.#sources) {
      for (const sequence of held) {
        tell(peer, sequence);
        break;
      }
    }
  }

  /** Runs `end` the first time that this sequence comes. */
  takeGap(peer: string, bootEpoch: number, sequence: number, end: () => void): void {
    const source = this.#source(peer, bootEpoch);
    if (sequence <= source.lastSeen) return;
    source.lastSeen = sequence;
    end();
  }

  #source(peer: string, bootEpoch: number): Source {
    let source = this.#sources.get(peer);
    if (!source || source.bootEpoch !== bootEpoch) {
      source = { bootEpoch, lastSeen: 0, held: new Set() };
      this.#sources.set(peer, source);
    }
    return source;
  }

  /** Delivers unless this QoS 2 message was delivered here before. */
  deliver(rx2: Rx2Id | null, message: Message, deliver: Deliver): ReturnType<Deliver> {
    return this.isNew(rx2) ? deliver(message) : null;
  }

  /** Whether this is the first time here, as far as QoS 2 needs to know. */
  isNew(rx2: Rx2Id | null): boolean {
    if (!rx2) return true;
    if (this.#seen.has(rx2)) return false;
    this.#seen.add(rx2);
    return true;
  }
}

/** Runs `done` when the last of them has room. */
export function whenAllHaveRoom(behind: readonly LiveConnection[], done: () => void): void {
  let left = behind.length;
  for (const connection of behind) {
    connection.whenRoom(() => {
      if (--left === 0) done();
    });
  }
}
