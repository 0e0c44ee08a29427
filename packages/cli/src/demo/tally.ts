/**
 * Counts what a subscriber received of numbered messages: what is missing, what came twice, what
 * came out of order. Pure.
 */

/** Most messages that one tally follows; 1 byte each. */
export const TALLY_MESSAGES_MAX = 1_000_000;

export class Tally {
  #times = new Uint8Array(1_024);
  #distinct = 0;
  #duplicates = 0;
  #outOfOrder = 0;
  #newest = -1;

  /** Different messages received. */
  get distinct(): number {
    return this.#distinct;
  }

  /** Deliveries of a message that had been delivered before. */
  get duplicates(): number {
    return this.#duplicates;
  }

  /** First deliveries of a message after one with a higher number [MQTT-4.6.0]. */
  get outOfOrder(): number {
    return this.#outOfOrder;
  }

  /**
   * @param sequence number that the publisher gave the message, counting from 0
   * @throws RangeError if it is no whole number below {@link TALLY_MESSAGES_MAX}
   */
  receive(sequence: number): void {
    if (!Number.isInteger(sequence) || sequence < 0 || sequence >= TALLY_MESSAGES_MAX) {
      throw new RangeError(`sequence ${sequence} out of range`);
    }
    if (sequence >= this.#times.length) this.#grow(sequence + 1);
    const times = this.#times[sequence] ?? 0;
    this.#times[sequence] = Math.min(255, times + 1);
    if (times > 0) {
      this.#duplicates++;
      return;
    }
    this.#distinct++;
    if (sequence < this.#newest) this.#outOfOrder++;
    this.#newest = Math.max(this.#newest, sequence);
  }

  /** How many of the messages 0 to count − 1 have not arrived. */
  missingOf(count: number): number {
    let missing = 0;
    for (let i = 0; i < count; i++) {
      if ((this.#times[i] ?? 0) === 0) missing++;
    }
    return missing;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.#times.length * 2));
    larger.set(this.#times);
    this.#times = larger;
  }
}
