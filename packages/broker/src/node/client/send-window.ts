/**
 * Messages to one client in flight: Packet Identifiers, the window, and what comes back.
 *
 * For a session without persistence identifiers are counted here and messages wait here; for a
 * persistent one the position in its queue gives the identifier and the leader keeps the window.
 */
import { encodePublishProperties } from '../../mqtt/codec-property.ts';
import { encodeAck, encodePublish } from '../../mqtt/frame-encode.ts';
import { PacketType, type ProtocolVersion } from '../../mqtt/packet.ts';
import type { Message, Rx2Id } from '../../session/message.ts';
import { PACKET_IDS, packetIdOf } from '../../session/session.ts';
import type { Delivery } from '../link/delivery-codec.ts';
import type { Outcome } from '../link/given.ts';

/** A message waiting for room in the window of a live session. */
interface Waiting {
  readonly message: Message;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

/** Tells the node that gave a message. */
export interface Giver {
  readonly node: string;
  answer(outcome: Outcome): void;
  /** @param room messages beyond those under way @param upTo token of the last message that came */
  free(generation: number, room: number, upTo: number): void;
}

/** What one leading node may send a connection. */
export interface Sharing {
  generation: number;
  busy: boolean;
  giver: Giver;
  /** Token of the last message that came from there. */
  upTo: number;
}

/** State of one Packet Identifier; −1 as position for live messages. */
interface InFlight {
  readonly position: number;
  readonly qos: 1 | 2;
  /** PUBREC received. */
  pubrecReceived: boolean;
  /** The copies know of the PUBREC, and PUBREL was sent. */
  pubrelSent: boolean;
  /** It came to this session as a member of a group. */
  readonly given: Given | null;
}

/** A message that the leader of a group's shard waits for. */
export interface Given {
  readonly id: Rx2Id;
  /** Tells the leader what became of it; once. */
  answer: (outcome: Outcome) => void;
}

/** Shards, theirs of messages received and of those returned included, are fewer than 2¹⁸. */
const SHARD_BITS = 18;

/** One number for the identity of a message that was given. */
export function givenKey({ shard, index }: Rx2Id): number {
  return index * 2 ** SHARD_BITS + shard;
}

/** Places at the front of the waiting messages that are given back at once. */
const SHIFTED_MAX = 1024;

export class SendWindow {
  readonly inFlight = new Map<number, InFlight>();
  /** What of it came to this session as a member of a group, by {@link givenKey}. */
  readonly given = new Map<number, Given>();
  /** First queue position that has not come to this connection. */
  nextPosition = 0;
  /** Came from the queue and cannot be sent yet; at most the leader's window, in count and bytes. */
  held: Delivery[] = [];
  /** More waits than the mark, and has not fallen to half of it since: publishers wait in `room`. */
  full = false;
  /** Run when little enough waits again. */
  room: (() => void)[] = [];
  /** Bytes of messages that wait here, live and held ones. */
  waitingBytes = 0;
  /** While full: acknowledgements so far, what waited for the socket, and time without a change of either. */
  settled = 0;
  settledSeen = 0;
  pendingSeen = 0;
  stalledMs = 0;
  #nextId = 1;
  /** Queue positions that an earlier connection may have been sent: their Packet Identifiers are not free. */
  #kept: { readonly from: number; readonly upto: number } | null = null;
  #waiting: (Waiting | undefined)[] = [];
  #shifted = 0;

  /** First queue position not sent on this connection. */
  get sentUpto(): number {
    return this.held[0]?.position ?? this.nextPosition;
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#shifted;
  }

  wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
  }

  shift(): Waiting | undefined {
    const first = this.#waiting[this.#shifted];
    if (first === undefined) return undefined;
    this.#waiting[this.#shifted++] = undefined;
    if (this.#shifted === this.#waiting.length || this.#shifted >= SHIFTED_MAX) {
      this.#waiting = this.#waiting.slice(this.#shifted);
      this.#shifted = 0;
    }
    return first;
  }

  keep(from: number, upto: number): void {
    this.#kept = { from, upto };
  }

  /** Whether a message of the queue has the Packet Identifier, or may yet come with it. */
  #isKept(packetId: number): boolean {
    if (!this.#kept) return false;
    const { from, upto } = this.#kept;
    // The first position from `from` on that has this identifier.
    const ahead = (packetId - packetIdOf(from) + PACKET_IDS) % PACKET_IDS;
    return from + ahead < upto;
  }

  /** Identifiers enough are free for a message that does not come from the queue. */
  get hasId(): boolean {
    return !this.#kept || this.#kept.upto - this.#kept.from + this.inFlight.size < PACKET_IDS;
  }

  /** A free Packet Identifier. There is one: the window is smaller than their number. */
  takeId(): number {
    while (this.inFlight.has(this.#nextId) || this.#isKept(this.#nextId)) this.#advance();
    const id = this.#nextId;
    this.#advance();
    return id;
  }

  #advance(): void {
    this.#nextId = this.#nextId === 65535 ? 1 : this.#nextId + 1;
  }
}

/**
 * Properties of a PUBLISH to an MQTT 5 client: the publisher's, time left, subscription identifiers, and
 * the Topic Alias, 0 for none.
 */
export function propertiesFor(
  message: Message,
  identifiers: readonly number[],
  wallMs: number,
  topicAlias = 0,
): Uint8Array | undefined {
  const own = message.properties;
  const left =
    message.expiresAtMs > 0
      ? Math.max(0, Math.ceil((message.expiresAtMs - wallMs) / 1000))
      : undefined;
  if (left === undefined && identifiers.length === 0 && topicAlias === 0)
    return own.length > 0 ? own : undefined;
  const more = encodePublishProperties({
    ...(left === undefined ? {} : { messageExpiryInterval: left }),
    ...(topicAlias === 0 ? {} : { topicAlias }),
    ...(identifiers.length === 0 ? {} : { subscriptionIdentifiers: [...identifiers] }),
  });
  return own.length === 0 ? more : Buffer.concat([own, more]);
}

/** From this size on a payload is not copied, neither out of its frame nor into one for each client. */
export const APART_BYTES = 65_536;

/** Whether {@link publishFrame} is the head alone: the payload is to be written behind it. */
export function isApart({ payload }: Message): boolean {
  return payload.length >= APART_BYTES;
}

/** Bytes of a PUBLISH whose frame this is. */
export function publishBytes(frame: Uint8Array, message: Message): number {
  return frame.length + (isApart(message) ? message.payload.length : 0);
}

export function publishFrame(
  version: ProtocolVersion,
  message: Message,
  o: {
    qos: number;
    retain: boolean;
    dup: boolean;
    packetId: number;
    properties?: Uint8Array | undefined;
    /** Without its topic, which a Topic Alias stands for. */
    untitled?: boolean;
  },
): Uint8Array {
  const { payload } = message;
  const topic = o.untitled ? '' : message.topic;
  return encodePublish({ version, topic, payload, apart: isApart(message), ...o });
}

export function pubrelFrame(
  packetId: number,
  version: ProtocolVersion,
  reasonCode = 0,
): Uint8Array {
  return encodeAck(PacketType.Pubrel, packetId, version, reasonCode);
}
