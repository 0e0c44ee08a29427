/** How long single publishes wait while something is wrong. Pure: reads a history. */
import { describeMessage, type StampedEvent } from '../history.ts';
import type { Class } from './shapes.ts';

/** One publish: from its first PUBLISH to PUBACK, or for QoS 2 PUBCOMP, in ms of the history. */
interface Publish {
  readonly sentMs: number;
  /** Undefined while it waits. */
  endedMs: number | undefined;
  /** Its publisher's connection, and with that its session, was ended first. */
  abandoned: boolean;
}

/** Collects the publishes of each client. */
export class WaitWatch {
  readonly #publishes = new Map<string, Publish[]>();
  readonly #open = new Map<string, Publish>();
  readonly #ends: Record<string, number> = {};

  observe(event: StampedEvent): void {
    if (event.type === 'publish-sent') {
      const name = describeMessage(event.message);
      if (event.dup || this.#open.has(name)) return;
      const publish = { sentMs: event.atMs, endedMs: undefined, abandoned: false };
      this.#open.set(name, publish);
      const of = this.#publishes.get(event.client);
      if (of) of.push(publish);
      else this.#publishes.set(event.client, [publish]);
    } else if (event.type === 'publish-acked' || event.type === 'publish-completed') {
      // After PUBREC its publisher waits on: for PUBCOMP, before the next message.
      if (event.type === 'publish-acked' && event.message.qos === 2) return;
      const publish = this.#open.get(describeMessage(event.message));
      if (publish) publish.endedMs ??= event.atMs;
    } else if (event.type === 'connected' && !event.sessionPresent) {
      const last = this.#publishes.get(event.client)?.at(-1);
      if (last?.endedMs !== undefined || !last) return;
      last.endedMs = event.atMs;
      last.abandoned = true;
    } else if (event.type === 'disconnected' && event.how !== 'graceful') {
      const why = event.reasonCode === undefined ? event.how : `0x${event.reasonCode.toString(16)}`;
      this.#ends[why] = (this.#ends[why] ?? 0) + 1;
    }
  }

  /** Connections that the client did not end itself, by reason code, or 'lost'. */
  get ends(): Readonly<Record<string, number>> {
    return { ...this.#ends };
  }

  /** @param fault when it began and ended, and now */
  waitsOf(client: string, fault: FaultTimes): Waits {
    return waits(this.#publishes.get(client) ?? [], fault);
  }
}

export interface FaultTimes {
  readonly beginMs: number;
  readonly endMs: number;
  readonly nowMs: number;
}

/** Of one publisher, in ms. */
export interface Waits {
  /** Publishes that were under way at some time of the fault. */
  readonly publishes: number;
  /** Those that the publisher had to give up with its connection; their waits count up to then. */
  readonly abandoned: number;
  /** The longest wait before the fault. */
  readonly beforeMs: number;
  /** The longest and the second longest wait of those under way during the fault. */
  readonly longestMs: number;
  readonly nextMs: number;
  /** From the end of the fault until what waited then was acknowledged; undefined if nothing waited. */
  readonly heldMs: number | undefined;
  /** The longest wait of those sent after the end of the fault. */
  readonly afterMs: number;
}

export function waits(all: readonly Publish[], { beginMs, endMs, nowMs }: FaultTimes): Waits {
  const ended = ({ endedMs }: Publish): number => endedMs ?? nowMs;
  const lengths = (some: readonly Publish[]): number[] =>
    some.map((publish) => ended(publish) - publish.sentMs).sort((a, b) => b - a);
  const during = all.filter((one) => one.sentMs < endMs && ended(one) >= beginMs);
  const [longestMs = 0, nextMs = 0] = lengths(during);
  const held = during.filter((one) => ended(one) > endMs).map((one) => ended(one) - endMs);
  return {
    publishes: during.length,
    abandoned: all.filter(({ abandoned }) => abandoned).length,
    beforeMs: lengths(all.filter((one) => ended(one) < beginMs))[0] ?? 0,
    longestMs,
    nextMs,
    heldMs: held.length > 0 ? Math.max(...held) : undefined,
    afterMs: lengths(all.filter(({ sentMs }) => sentMs >= endMs))[0] ?? 0,
  };
}

/** The waits of one publisher in one round, and whose they are. */
export interface ChannelFigures extends Waits {
  readonly of: Class;
  readonly node: string;
  readonly subscriberNode: string;
  readonly qos: 1 | 2;
  readonly topic: string;
}
