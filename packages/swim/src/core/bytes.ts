/** Thrown by {@link ByteReader} on bytes that are not what they should be; never leaves the codec. */
export class MalformedError extends Error {}

// Made once: a flood of noise must not cost a stack trace each.
const CUT_SHORT = new MalformedError('cut short');
const TEXT_LENGTH = new MalformedError('length of a text');
const NOT_UTF8 = new MalformedError('not UTF-8');

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

const NO_BYTES = new Uint8Array(0);
const BUFFER_BYTES = 2_048;
/** Buffers kept for the next writers. */
const IDLE_BUFFERS_MAX = 4;
const idleBuffers: { readonly buffer: Uint8Array; readonly view: DataView }[] = [];

/** Appends integers (big endian), texts and byte strings to a buffer that grows. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  length = 0;

  constructor() {
    // Buffers of writers that are done are used again: encoding is the hottest path there is.
    const idle = idleBuffers.pop();
    this.#buffer = idle?.buffer ?? new Uint8Array(BUFFER_BYTES);
    this.#view = idle?.view ?? new DataView(this.#buffer.buffer);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.length, value);
    this.length++;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.length, value);
    this.length += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.length, value);
    this.length += 4;
  }

  /** A safe integer ≥ 0, in eight bytes. */
  u53(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a u53: ${value}`);
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value >>> 0);
  }

  /** A text of at most 255 bytes of UTF-8, after its length. */
  text(value: string): void {
    if (this.#ascii(value)) return;
    const bytes = encoder.encode(value);
    if (bytes.length > 255) throw new RangeError(`text of ${bytes.length} bytes`);
    this.u8(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A copy of what was written. The last call: the buffer may be another writer's from now on. */
  done(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.length);
    if (this.#buffer.length === BUFFER_BYTES && idleBuffers.length < IDLE_BUFFERS_MAX) {
      idleBuffers.push({ buffer: this.#buffer, view: this.#view });
    }
    return bytes;
  }

  /** Writes a text of ASCII with its length; false, and nothing written, if it is anything else. */
  #ascii(value: string): boolean {
    const { length } = value;
    if (length > 255) return false;
    this.#reserve(length + 1);
    const start = this.length + 1;
    for (let at = 0; at < length; at++) {
      const unit = value.charCodeAt(at);
      if (unit > 0x7f) return false;
      this.#buffer[start + at] = unit;
    }
    this.#buffer[this.length] = length;
    this.length = start + length;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.length));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what {@link ByteWriter} wrote; every read checks the bounds first. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u53(): number {
    const high = this.u32();
    if (high >= 0x20_0000) throw new MalformedError('integer too large');
    return high * 0x1_0000_0000 + this.u32();
  }

  /** A text of lengthMin ≤ bytes ≤ lengthMax. */
  text(lengthMin: number, lengthMax: number): string {
    const length = this.u8();
    if (length < lengthMin || length > lengthMax) throw TEXT_LENGTH;
    const start = this.#advance(length);
    const end = start + length;
    let ascii = '';
    for (let at = start; at < end; at++) {
      const unit = this.#bytes[at] as number;
      if (unit > 0x7f) break;
      ascii += String.fromCharCode(unit);
    }
    if (ascii.length === length) return ascii;
    try {
      return decoder.decode(this.#bytes.subarray(start, end));
    } catch {
      throw NOT_UTF8;
    }
  }

  /** A copy of the next bytes. */
  raw(length: number): Uint8Array {
    if (length === 0) return NO_BYTES;
    const start = this.#advance(length);
    return this.#bytes.slice(start, start + length);
  }

  #advance(length: number): number {
    if (length > this.remaining) throw CUT_SHORT;
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** Half a surrogate pair cannot be told from another: all are U+FFFD in UTF-8. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
