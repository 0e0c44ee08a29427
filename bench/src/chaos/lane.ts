/**
 * All messages of one publisher, topic and QoS: when each was first sent and first acknowledged.
 *
 * Numbers count from 0 without gaps, so plain arrays of event indexes hold everything.
 */
export class Lane {
  readonly publisher: string;
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly #sentAt: number[] = [];
  /** Event index of the acknowledgement, or -1. */
  readonly #ackedAt: number[] = [];

  constructor(lane: { publisher: string; topic: string; qos: 1 | 2 }) {
    this.publisher = lane.publisher;
    this.topic = lane.topic;
    this.qos = lane.qos;
  }

  /** Notes a PUBLISH; true if it is the message's first. Resent ones keep the first index. */
  sent(seq: number, index: number): boolean {
    if (seq < this.#sentAt.length) return false;
    if (seq !== this.#sentAt.length) throw new RangeError(`#${seq} sent before its predecessor`);
    this.#sentAt.push(index);
    this.#ackedAt.push(-1);
    return true;
  }

  /** Notes an acknowledgement; true if it is the message's first. */
  acked(seq: number, index: number): boolean {
    if (this.#ackedAt[seq] !== -1) return false;
    this.#ackedAt[seq] = index;
    return true;
  }

  wasSent(seq: number): boolean {
    return seq < this.#sentAt.length;
  }

  /** Index of its first PUBLISH. */
  sentAt(seq: number): number | undefined {
    return this.#sentAt[seq];
  }

  forEachAcked(visit: (seq: number, sentAt: number, ackedAt: number) => void): void {
    for (let seq = 0; seq < this.#ackedAt.length; seq++) {
      const ackedAt = this.#ackedAt[seq] as number;
      if (ackedAt >= 0) visit(seq, this.#sentAt[seq] as number, ackedAt);
    }
  }
}

/** Which messages of one {@link Lane} one session has got: a bit each, and the highest number. */
export class SessionLane {
  #bits = new Uint8Array(64);
  #highest = -1;

  get highest(): number {
    return this.#highest;
  }

  has(seq: number): boolean {
    return ((this.#bits[seq >> 3] ?? 0) & (1 << (seq & 7))) !== 0;
  }

  /** `late` is a first delivery after that of a higher number. */
  deliver(seq: number): 'first' | 'late' | 'repeated' {
    if (this.has(seq)) return 'repeated';
    if (seq >> 3 >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(this.#bits.length * 2, (seq >> 3) + 1));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[seq >> 3] = (this.#bits[seq >> 3] as number) | (1 << (seq & 7));
    if (seq < this.#highest) return 'late';
    this.#highest = seq;
    return 'first';
  }
}
