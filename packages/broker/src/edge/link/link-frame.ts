/**
 * The bytes of a link between two nodes:
 *
 *     0x4C 'L'   once in each direction, before anything else
 *     HELLO      one frame each way: who speaks
 *     frame…     length u32 big endian, then that many bytes
 *
 *     HELLO = version u8 | clusterId u16 + UTF-8 | name u16 + UTF-8 | bootEpoch u64 | (ignored)
 */

/** The first byte of a link, which sets it apart from SWIM's streams on the same port. */
export const LINK_MAGIC = 0x4c;
/** Version of this format and of what frames carry; both sides must have the same. */
export const LINK_VERSION = 2;
/** Bytes of a HELLO, at most: strings of the longest names and room to grow. */
export const HELLO_BYTES_MAX = 4096;
/** Frames up to this size are copied behind their length, larger ones sent as they are. */
const COPIED_BYTES_MAX = 16 * 1024;

const LENGTH_BYTES = 4;

/** The identity that a peer gives. */
export interface Hello {
  readonly version: number;
  readonly clusterId: string;
  readonly name: string;
  readonly bootEpoch: number;
}

export function encodeHello(hello: Hello): Buffer {
  const clusterId = Buffer.from(hello.clusterId, 'utf8');
  const name = Buffer.from(hello.name, 'utf8');
  const bytes = Buffer.alloc(1 + 2 + clusterId.length + 2 + name.length + 8);
  let at = bytes.writeUInt8(hello.version, 0);
  at = bytes.writeUInt16BE(clusterId.length, at);
  at += clusterId.copy(bytes, at);
  at = bytes.writeUInt16BE(name.length, at);
  at += name.copy(bytes, at);
  bytes.writeBigUInt64BE(BigInt(hello.bootEpoch), at);
  return bytes;
}

/** The HELLO in `bytes`; undefined if it is none. Of another version only `version` is sure. */
export function decodeHello(bytes: Buffer): Hello | undefined {
  const version = bytes[0];
  if (version === undefined) return undefined;
  if (version !== LINK_VERSION) return { version, clusterId: '', name: '', bootEpoch: 0 };
  const clusterId = textAt(bytes, 1);
  if (clusterId === undefined) return undefined;
  const name = textAt(bytes, clusterId.end);
  if (name === undefined || name.end + 8 > bytes.length) return undefined;
  const bootEpoch = Number(bytes.readBigUInt64BE(name.end));
  if (!Number.isSafeInteger(bootEpoch)) return undefined;
  return { version, clusterId: clusterId.text, name: name.text, bootEpoch };
}

function textAt(bytes: Buffer, at: number): { text: string; end: number } | undefined {
  if (at + 2 > bytes.length) return undefined;
  const end = at + 2 + bytes.readUInt16BE(at);
  return end > bytes.length ? undefined : { text: bytes.toString('utf8', at + 2, end), end };
}

/** The chunks to write for one frame: one for a small frame, two for a large one. */
export function encodeFrame(frame: Uint8Array): Uint8Array[] {
  if (frame.length > COPIED_BYTES_MAX) {
    const length = Buffer.allocUnsafe(LENGTH_BYTES);
    length.writeUInt32BE(frame.length, 0);
    return [length, frame];
  }
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + frame.length);
  bytes.writeUInt32BE(frame.length, 0);
  bytes.set(frame, LENGTH_BYTES);
  return [bytes];
}

/**
 * Cuts a stream into frames.
 *
 * A frame that lies within one chunk is a view of it; one that does not is put together once, when
 * its last chunk is here, so that an announced length alone costs no memory. Chunks must therefore be
 * the reader's to keep.
 */
export class FrameReader {
  /** Bytes of a frame, at most; may be raised after the HELLO. */
  bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes that must be there before it is worth looking again. */
  #needed = LENGTH_BYTES;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /**
   * The next complete frame; undefined until more bytes come; 'invalid' once for a length of zero or
   * beyond `bytesMax`, after which the stream is useless.
   */
  next(): Buffer | 'invalid' | undefined {
    if (this.#bytes < this.#needed) return undefined;
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)];
    const chunk = this.#chunks[0]!;
    const length = chunk.readUInt32BE(0);
    if (length === 0 || length > this.bytesMax) return 'invalid';
    const end = LENGTH_BYTES + length;
    if (this.#bytes < end) {
      this.#needed = end;
      return undefined;
    }
    this.#needed = LENGTH_BYTES;
    this.#bytes -= end;
    this.#chunks = this.#bytes === 0 ? [] : [chunk.subarray(end)];
    return chunk.subarray(LENGTH_BYTES, end);
  }
}
