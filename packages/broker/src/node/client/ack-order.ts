/** Acknowledgements of publishes, sent in the order in which the publishes came [MQTT-4.6.0-2]. */

export interface AckSlot {
  frame: Uint8Array | null;
}

export class AckOrder {
  #slots: AckSlot[] = [];

  take(): AckSlot {
    const slot: AckSlot = { frame: null };
    this.#slots.push(slot);
    return slot;
  }

  get empty(): boolean {
    return this.#slots.length === 0;
  }

  /** Fills a slot and hands out every acknowledgement that is now due. */
  fill(slot: AckSlot, frame: Uint8Array, write: (frame: Uint8Array) => void): void {
    slot.frame = frame;
    let n = 0;
    for (; n < this.#slots.length; n++) {
      const { frame: due } = this.#slots[n]!;
      if (!due) break;
      write(due);
    }
    if (n > 0) this.#slots.splice(0, n);
  }
}
