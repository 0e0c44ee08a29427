/**
 * Bytes in and out: the one writer and reader for records on disk and messages between nodes.
 *
 * Integers are LEB128 varints up to 2^53 − 1, strings are UTF-8 with a varint length, doubles are
 * little-endian. A reader never reads past its end: it throws {@link BytesError}, which the caller
 * treats as a corrupt record or a malformed frame.
 */

/** Bytes ended early, or a length or varint is out of range. */
export class BytesError extends Error {
  override readonly name: string = 'BytesError';
}

/**
 * A record of a format that this program does not know: written by a later version, not damaged. On a
 * link it ends the link as any {@link BytesError}; on disk it must not be taken for a corrupt record,
 * whose remedy is to throw the folder away.
 */
export class NewerFormatError extends BytesError {
  override readonly name = 'NewerFormatError';
}

/** @throws NewerFormatError for a later format, BytesError for one that never was */
export function checkFormat(what: string, version: number, newest: number): void {
  const text = `${what} of format ${version}, this program reads up to ${newest}`;
  if (version > newest) throw new NewerFormatError(text);
  if (version < 1) throw new BytesError(text);
}

const EMPTY = new Uint8Array(0);
const scratch = new DataView(new ArrayBuffer(8));

/** A buffer that has grown beyond this is not kept, and handed out if it is nearly full. */
const KEPT_BYTES = 1024 * 1024;
const SPARE_BYTES = 64 * 1024;

/** Appends values to a buffer that grows; `take()` hands the result out and starts anew. */
export class Writer {
  #buf: Buffer;
  #at = 0;
  readonly #initialBytes: number;

  constructor(initialBytes = 256) {
    this.#initialBytes = initialBytes;
    this.#buf = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#at;
  }

  #room(n: number): void {
    if (this.#at + n <= this.#buf.length) return;
    // Around one large value little is written: no buffer of twice its size.
    const large = n > KEPT_BYTES ? this.#at + n + SPARE_BYTES : 0;
    const next = Buffer.allocUnsafeSlow(large || Math.max(this.#buf.length * 2, this.#at + n));
    this.#buf.copy(next, 0, 0, this.#at);
    this.#buf = next;
  }

  u8(v: number): void {
    this.#room(1);
    this.#buf[this.#at++] = v;
  }

  bool(v: boolean): void {
    this.u8(v ? 1 : 0);
  }

  u32(v: number): void {
    this.#room(4);
    this.#buf.writeUInt32LE(v >>> 0, this.#at);
    this.#at += 4;
  }

  varint(v: number): void {
    this.#room(8);
    let rest = v;
    while (rest >= 0x80) {
      this.#buf[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buf[this.#at++] = rest;
  }

  f64(v: number): void {
    this.#room(8);
    this.#buf.writeDoubleLE(v, this.#at);
    this.#at += 8;
  }

  str(v: string): void {
    const bytes = Buffer.byteLength(v);
    this.varint(bytes);
    this.#room(bytes);
    this.#at += this.#buf.write(v, this.#at, bytes, 'utf8');
  }

  /** Length and bytes. */
  bytes(v: Uint8Array): void {
    this.varint(v.length);
    this.raw(v);
  }

  /** Bytes alone. */
  raw(v: Uint8Array): void {
    this.#room(v.length);
    this.#buf.set(v, this.#at);
    this.#at += v.length;
  }

  list<T>(items: readonly T[], one: (w: Writer, item: T) => void): void {
    this.varint(items.length);
    for (const item of items) one(this, item);
  }

  /** A view of what was written; valid until the next write. */
  peek(): Uint8Array {
    return this.#buf.subarray(0, this.#at);
  }

  take(): Uint8Array {
    if (this.#buf.length > KEPT_BYTES && this.#at * 4 >= this.#buf.length * 3) {
      const whole = this.#buf.subarray(0, this.#at);
      this.reset();
      return whole;
    }
    const out = Buffer.allocUnsafeSlow(this.#at);
    this.#buf.copy(out, 0, 0, this.#at);
    this.reset();
    return out;
  }

  reset(): void {
    this.#at = 0;
    if (this.#buf.length > KEPT_BYTES) this.#buf = Buffer.allocUnsafeSlow(this.#initialBytes);
  }
}

/** Reads what {@link Writer} wrote. Byte slices are views of the input. */
export class Reader {
  readonly #buf: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(buf: Uint8Array, start = 0, end = buf.length) {
    this.#buf = buf;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  get position(): number {
    return this.#at;
  }

  #need(n: number): number {
    const at = this.#at;
    if (n > this.#end - at) throw new BytesError(`want ${n} bytes, have ${this.#end - at}`);
    this.#at = at + n;
    return at;
  }

  u8(): number {
    return this.#buf[this.#need(1)]!;
  }

  bool(): boolean {
    const byte = this.u8();
    if (byte > 1) throw new BytesError(`${byte} where yes or no stands`);
    return byte === 1;
  }

  u32(): number {
    const at = this.#need(4);
    const b = this.#buf;
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new BytesError('varint out of range');
  }

  f64(): number {
    const at = this.#need(8);
    for (let i = 0; i < 8; i++) scratch.setUint8(i, this.#buf[at + i]!);
    return scratch.getFloat64(0, true);
  }

  str(): string {
    const n = this.varint();
    const at = this.#need(n);
    return n === 0 ? '' : utf8(this.#buf, at, at + n);
  }

  bytes(): Uint8Array {
    const n = this.varint();
    return n === 0 ? EMPTY : this.raw(n);
  }

  raw(n: number): Uint8Array {
    const at = this.#need(n);
    return this.#buf.subarray(at, at + n);
  }

  list<T>(one: (r: Reader) => T): T[] {
    const n = this.varint();
    if (n > this.#end - this.#at) throw new BytesError(`list of ${n} items cannot fit`);
    const out: T[] = new Array(n);
    for (let i = 0; i < n; i++) out[i] = one(this);
    return out;
  }
}

function utf8(buf: Uint8Array, start: number, end: number): string {
  const b = buf instanceof Buffer ? buf : Buffer.from(buf.buffer, buf.byteOffset, buf.byteLength);
  return b.utf8Slice(start, end);
}

declare global {
  interface Buffer {
    /** Decodes without option parsing; present in every Node.js and absent from its types. */
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
  }
}

/** Eight tables of 256: what a byte does to the checksum when 0 to 7 bytes follow it. */
const CRC32C_TABLES = (() => {
  const tables = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1;
    tables[n] = c;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = tables[before & 0xff]! ^ (before >>> 8);
  }
  return tables;
})();

/** CRC32C (Castagnoli) of a range, as an unsigned 32-bit number; eight bytes at a time ("slicing-by-8"). */
export function crc32c(buf: Uint8Array, start = 0, end = buf.length): number {
  const t = CRC32C_TABLES;
  let c = -1;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    c =
      t[1792 + ((c ^ buf[i]!) & 0xff)]! ^
      t[1536 + (((c >>> 8) ^ buf[i + 1]!) & 0xff)]! ^
      t[1280 + (((c >>> 16) ^ buf[i + 2]!) & 0xff)]! ^
      t[1024 + ((c >>> 24) ^ buf[i + 3]!)]! ^
      t[768 + buf[i + 4]!]! ^
      t[512 + buf[i + 5]!]! ^
      t[256 + buf[i + 6]!]! ^
      t[buf[i + 7]!]!;
  }
  for (; i < end; i++) c = t[(c ^ buf[i]!) & 0xff]! ^ (c >>> 8);
  return (c ^ -1) >>> 0;
}
