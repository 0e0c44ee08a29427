/**
 * What two nodes say to each other in frames: three lanes on one ordered link, and credit.
 *
 * ```
 *   urgent   ──▶ at once                                  heartbeats, votes, credit
 *   announce ──▶ waiting ─┐  while less than a window     views, routes, barriers
 *   bulk     ──▶ waiting ─┴▶ is under way                 all that carries what clients say
 * ```
 * Within a lane messages arrive in the order in which they were written. A lane may overtake those
 * below it, so no message may depend on one that it can overtake (docs/PROTOCOL.md says why none does).
 * The peer gives credit for what it has taken. Beside urgent frames at most a window and a frame are under
 * way, which keeps urgent ones from waiting long; the window follows the time that the peer needs for it.
 *
 * A *unit* is the clock and some messages: those that one turn wrote into a lane, cut between messages
 * when it grows. It is one frame, or several if one message alone is larger. A long list is not written
 * at once but page by page, each when the lane has come to it.
 */
import { BytesError, Writer } from '../../bytes.ts';

export const Lane = { Urgent: 0, Announce: 1, Bulk: 2 } as const;
export type Lane = (typeof Lane)[keyof typeof Lane];

/** Bytes of one frame between nodes, at most; a larger message goes in several. */
export const FRAME_BYTES_MAX = 1024 * 1024;
/**
 * Bytes of one message between nodes: the largest MQTT packet and the sessions that it is for; beyond,
 * the link ends.
 */
export const MESSAGE_BYTES_MAX = 320 * 1024 * 1024;
/** A unit is closed at the next message once it has this many bytes. */
const UNIT_BYTES = 256 * 1024;
/** A link begins with this window. */
const WINDOW_START_BYTES = 1024 * 1024;
const WINDOW_MIN_BYTES = 128 * 1024;
/** Bytes under way to one peer beside urgent frames, at most, and one frame; less where it is slow. */
const WINDOW_BYTES_MAX = 4 * 1024 * 1024;
/** Credit that takes longer than this to come back halves the window; the half of it lets it grow. */
const CREDIT_SLOW_MS = 100;
/** A peer that gave credit so long ago, or less, moves. */
const MOVES_MS = 300;
/** Credit is told to the sender in steps of so many bytes; well below the smallest window. */
const CREDIT_STEP_BYTES = 64 * 1024;
/** Bytes that wait for credit of one peer; beyond, senders that can wait write no more. */
const WAITING_BYTES_MAX = 2 * 1024 * 1024;

/** The bits of a frame's first byte that are its lane. */
const LANE_BITS = 3;
/** The unit goes on in the lane's next frame. */
const MORE = 4;
/** Further units belong to this one: pages of one list. */
const PAGED = 8;
/** Bytes of one page of a list. */
const PAGE_BYTES = 64 * 1024;
const NO_FRAMES: readonly Uint8Array[] = [];

/** Writes the next page of something long. @returns whether there are more */
export type Produce = (w: Writer) => boolean;

/**
 * A list in pages.
 *
 * @param bytesOf about how many bytes an item takes
 * @param write one page, with at least one item unless the list is empty
 */
export function pages<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  write: (w: Writer, page: readonly T[], at: { readonly first: boolean; last: boolean }) => void,
): Produce {
  let next = 0;
  return (w) => {
    const from = next;
    for (let bytes = 0; next < items.length && bytes < PAGE_BYTES; next++)
      bytes += bytesOf(items[next]!);
    const last = next >= items.length;
    write(w, items.slice(from, next), { first: from === 0, last });
    return !last;
  };
}

/** What waits in one lane, oldest first: closed units, and what is still to be written. */
class Waiting {
  readonly #lane: Lane;
  #items: (Uint8Array | Produce | null)[] = [];
  #first = 0;
  /** The unit of which a part has been sent, and how much of it. */
  #unit: Uint8Array | null = null;
  #at = 0;
  /** Of the units, without what has been sent. */
  bytes = 0;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  get empty(): boolean {
    return this.#unit === null && this.#first >= this.#items.length;
  }

  push(item: Uint8Array | Produce): void {
    this.#items.push(item);
    if (typeof item !== 'function') this.bytes += item.length;
  }

  /** Takes the next frame off; there is one. */
  frame(hlc: () => number): Uint8Array {
    const unit = this.#unit ?? this.#next(hlc);
    const begins = this.#at === 0;
    // All frames but the first repeat the head before their share of the unit.
    const room = begins ? FRAME_BYTES_MAX : FRAME_BYTES_MAX - 1;
    const end = Math.min(unit.length, this.#at + room);
    const share = unit.subarray(this.#at, end);
    const more = end < unit.length;
    const head = unit[0]! | (more ? MORE : 0);
    this.bytes -= share.length;
    this.#unit = more ? unit : null;
    this.#at = more ? end : 0;
    if (begins && !more) return share;
    const frame = new Uint8Array(begins ? share.length : 1 + share.length);
    frame.set(share, begins ? 0 : 1);
    frame[0] = head;
    return frame;
  }

  #next(hlc: () => number): Uint8Array {
    const item = this.#items[this.#first]!;
    if (typeof item !== 'function') {
      this.#drop();
      return item;
    }
    const w = new Writer(1024);
    w.u8(this.#lane);
    w.f64(hlc());
    const more = item(w);
    const unit = w.take();
    if (more) unit[0] = this.#lane | PAGED;
    else this.#drop();
    this.bytes += unit.length;
    return unit;
  }

  #drop(): void {
    this.#items[this.#first++] = null;
    if (this.#first < 64 || this.#first * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#unit = null;
    this.#at = 0;
    this.bytes = 0;
  }
}

/** Frames under way: bytes sent up to the end of each, and when that was. */
interface UnderWay {
  readonly upto: number;
  readonly sentMs: number;
}

/** The sending half of a link. */
export class Outbox {
  readonly #writers = [new Writer(256), new Writer(256), new Writer(1024)] as const;
  #urgent: Uint8Array[] = [];
  readonly #announce = new Waiting(Lane.Announce);
  readonly #bulk = new Waiting(Lane.Bulk);
  /** A sender found the lane full and waits. */
  #wasFull = false;
  #window = WINDOW_START_BYTES;
  #sentBytes = 0;
  #creditedBytes = 0;
  /** The window is halved once for all that was under way. */
  #halvedUpto = 0;
  #underWay: UnderWay[] = [];
  #creditedMs = Number.NEGATIVE_INFINITY;
  /** Units begun in the lane of announcements; the pages of a list are one. */
  announced = 0;

  /** A new link. */
  reset(): void {
    for (const w of this.#writers) w.reset();
    this.#urgent = [];
    this.#announce.clear();
    this.#bulk.clear();
    this.#wasFull = false;
    this.#window = WINDOW_START_BYTES;
    this.#sentBytes = 0;
    this.#creditedBytes = 0;
    this.#halvedUpto = 0;
    this.#underWay = [];
    this.announced = 0;
  }

  /** Where the next message of this lane is written; what was written before is complete. */
  writer(lane: Lane, hlc: () => number): Writer {
    const w = this.#writers[lane];
    if (w.length >= UNIT_BYTES) this.#close(lane, w);
    if (w.length === 0) {
      w.u8(lane);
      // Every unit carries the clock, so that what one node did before telling another is before.
      w.f64(hlc());
      if (lane === Lane.Announce) this.announced++;
    }
    return w;
  }

  /** Something long: written page by page behind all that was written into the lane before. */
  later(lane: typeof Lane.Announce | typeof Lane.Bulk, produce: Produce): void {
    const w = this.#writers[lane];
    if (w.length > 0) this.#close(lane, w);
    if (lane === Lane.Announce) this.announced++;
    (lane === Lane.Announce ? this.#announce : this.#bulk).push(produce);
  }

  #close(lane: Lane, w: Writer): void {
    const unit = w.take();
    if (lane === Lane.Urgent) this.#urgent.push(unit);
    else (lane === Lane.Announce ? this.#announce : this.#bulk).push(unit);
  }

  /** Bytes under way and not credited. */
  get underWayBytes(): number {
    return this.#sentBytes - this.#creditedBytes;
  }

  /** Bytes written that wait for credit. */
  get waitingBytes(): number {
    return this.#announce.bytes + this.#bulk.bytes + this.#writers[Lane.Bulk].length;
  }

  /** So much waits that senders that can wait should; {@link drained} shows when they may go on. */
  get full(): boolean {
    if (this.waitingBytes < WAITING_BYTES_MAX) return false;
    this.#wasFull = true;
    return true;
  }

  /** The peer takes what it is sent, if not all at once: what it has not answered may still wait here. */
  moves(nowMs: number): boolean {
    return this.waitingBytes > 0 && nowMs - this.#creditedMs < MOVES_MS;
  }

  /** Whether there is room again for what found the lane full; true once. */
  drained(): boolean {
    if (!this.#wasFull || this.waitingBytes > WAITING_BYTES_MAX / 2) return false;
    this.#wasFull = false;
    return true;
  }

  /** End of a turn: closes what was written, and gives the frames that may leave now. */
  take(nowMs: number, hlc: () => number): readonly Uint8Array[] {
    for (const lane of [Lane.Urgent, Lane.Announce, Lane.Bulk] as const) {
      const w = this.#writers[lane];
      if (w.length > 0) this.#close(lane, w);
    }
    if (this.#urgent.length === 0 && this.#announce.empty && this.#bulk.empty) return NO_FRAMES;
    const frames = this.#urgent;
    this.#urgent = [];
    for (const lane of [this.#announce, this.#bulk]) {
      while (!lane.empty && this.underWayBytes < this.#window) {
        const frame = lane.frame(hlc);
        frames.push(frame);
        this.#sentBytes += frame.length;
        this.#underWay.push({ upto: this.#sentBytes, sentMs: nowMs });
      }
    }
    return frames;
  }

  /**
   * The peer has taken so many bytes of this link.
   * @throws BytesError when it never was sent them
   */
  credit(bytes: number, nowMs: number): void {
    if (bytes > this.#sentBytes || bytes < this.#creditedBytes)
      throw new BytesError(`credit of ${bytes}, sent ${this.#sentBytes}`);
    const taken = bytes - this.#creditedBytes;
    const limited = this.underWayBytes >= this.#window;
    this.#creditedBytes = bytes;
    this.#creditedMs = nowMs;
    let sentMs = nowMs;
    let done = 0;
    while (done < this.#underWay.length && this.#underWay[done]!.upto <= bytes)
      sentMs = this.#underWay[done++]!.sentMs;
    this.#underWay.splice(0, done);
    const tookMs = nowMs - sentMs;
    if (tookMs > CREDIT_SLOW_MS) {
      if (bytes <= this.#halvedUpto) return;
      this.#halvedUpto = this.#sentBytes;
      this.#window = Math.max(WINDOW_MIN_BYTES, this.#window / 2);
    } else if (limited && tookMs < CREDIT_SLOW_MS / 2) {
      this.#window = Math.min(WINDOW_BYTES_MAX, this.#window + taken);
    }
  }
}

/** The receiving half of a link. */
export class Inbox {
  #parts: Uint8Array[][] = [[], [], []];
  #partBytes = [0, 0, 0];
  #takenBytes = 0;
  #toldBytes = 0;
  /** Announcements that came whole and have been read, lists with all their pages. */
  announced = 0;

  reset(): void {
    this.#parts = [[], [], []];
    this.#partBytes = [0, 0, 0];
    this.#takenBytes = 0;
    this.#toldBytes = 0;
    this.announced = 0;
  }

  /**
   * Takes a frame.
   *
   * @returns a whole unit, to be read behind its first byte; undefined while more of it is to come
   * @throws BytesError when it is in no lane, or the unit is too large
   */
  take(frame: Uint8Array): Uint8Array | undefined {
    const head = frame[0] ?? LANE_BITS;
    const lane = head & LANE_BITS;
    if (lane > Lane.Bulk || head > (LANE_BITS | MORE | PAGED)) throw new BytesError(`lane ${head}`);
    if (lane !== Lane.Urgent) this.#takenBytes += frame.length;
    const parts = this.#parts[lane]!;
    const more = (head & MORE) !== 0;
    if (!more && parts.length === 0) return frame;
    parts.push(parts.length === 0 ? frame : frame.subarray(1));
    const bytes = this.#partBytes[lane]! + frame.length;
    if (bytes > MESSAGE_BYTES_MAX + UNIT_BYTES) throw new BytesError(`a message of ${bytes} bytes`);
    this.#partBytes[lane] = bytes;
    if (more) return undefined;
    this.#parts[lane] = [];
    this.#partBytes[lane] = 0;
    const unit = concat(parts);
    unit[0] = head;
    return unit;
  }

  /** A unit has been read. @returns whether that was an announcement, with all its pages */
  read(unit: Uint8Array): boolean {
    if (unit[0] !== Lane.Announce) return false;
    this.announced++;
    return true;
  }

  /** The sender waits for word of what was taken. */
  get owesCredit(): boolean {
    return this.#takenBytes - this.#toldBytes >= CREDIT_STEP_BYTES;
  }

  /** Bytes taken so far, which the caller now tells the sender. */
  tellCredit(): number {
    this.#toldBytes = this.#takenBytes;
    return this.#takenBytes;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const part of parts) total += part.length;
  const whole = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
