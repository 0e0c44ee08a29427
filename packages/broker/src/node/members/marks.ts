/**
 * What each copy was known to hold, in a file beside the store: a lost tail of the store's log, a store
 * that was put back, or a promise that it forgot then shows when the shard is loaded (recovery.ts).
 *
 * One slot of 32 bytes for each shard, written in place at most every {@link FLUSH_MS}, after what it
 * says is in the store: a mark may be behind the store and is never ahead. A torn slot counts as none.
 *
 * ```
 *   0 format │ 1 promised │ 6 view │ 11 durable │ 17 commit │ 23 print │ 27 – │ 28 CRC32C with the shard
 * ```
 */
import { checkFormat, crc32c } from '../../bytes.ts';
import type { MarkFile } from '../../ports.ts';
import type { Mark, Marks as MarksPort } from '../../shard/host.ts';

const SLOT_BYTES = 32;
const SLOT_FORMAT = 1;
/** Slots that are written together: a page of the file. */
const PAGE_SLOTS = 128;
const FLUSH_MS = 100;
const COUNTER_TOP = 2 ** 40 - 1;

export class Marks implements MarksPort {
  readonly #file: MarkFile;
  readonly #marks = new Map<number, Mark>();
  readonly #dirtyPages = new Set<number>();
  #image: Buffer;
  #writing = false;
  #flushedMs = Number.NEGATIVE_INFINITY;

  /** @throws NewerFormatError when a later version of this program wrote the file */
  constructor(file: MarkFile) {
    this.#file = file;
    this.#image = Buffer.from(file.initial);
    for (let shard = 0; (shard + 1) * SLOT_BYTES <= this.#image.length; shard++) {
      const mark = this.#read(shard);
      if (mark) this.#marks.set(shard, mark);
    }
  }

  #read(shard: number): Mark | undefined {
    const at = shard * SLOT_BYTES;
    const image = this.#image;
    if (image.readUInt32LE(at + 28) !== this.#sum(shard)) return undefined;
    checkFormat('mark', image[at]!, SLOT_FORMAT);
    return {
      promised: image.readUIntLE(at + 1, 5),
      view: image.readUIntLE(at + 6, 5),
      durable: image.readUIntLE(at + 11, 6),
      commit: image.readUIntLE(at + 17, 6),
      print: image.readUInt32LE(at + 23),
    };
  }

  #sum(shard: number): number {
    const at = shard * SLOT_BYTES;
    return (crc32c(this.#image, at, at + 28) ^ (shard + 1)) >>> 0;
  }

  get(shard: number): Mark | undefined {
    return this.#marks.get(shard);
  }

  set(shard: number, mark: Mark): void {
    this.#marks.set(shard, mark);
    this.#reach((shard + 1) * SLOT_BYTES);
    const at = shard * SLOT_BYTES;
    const image = this.#image;
    image[at] = SLOT_FORMAT;
    image.writeUIntLE(Math.min(mark.promised, COUNTER_TOP), at + 1, 5);
    image.writeUIntLE(Math.min(mark.view, COUNTER_TOP), at + 6, 5);
    image.writeUIntLE(mark.durable, at + 11, 6);
    image.writeUIntLE(mark.commit, at + 17, 6);
    image.writeUInt32LE(mark.print, at + 23);
    image[at + 27] = 0;
    image.writeUInt32LE(this.#sum(shard), at + 28);
    this.#dirtyPages.add(Math.floor(shard / PAGE_SLOTS));
  }

  #reach(bytes: number): void {
    if (bytes <= this.#image.length) return;
    const page = PAGE_SLOTS * SLOT_BYTES;
    const image = Buffer.alloc(Math.ceil(bytes / page) * page);
    this.#image.copy(image);
    this.#image = image;
  }

  /** Writes what has changed, now and then; `force` at once, as far as nothing is being written. */
  flush(nowMs: number, force = false): void {
    if (this.#writing || this.#dirtyPages.size === 0) return;
    if (!force && nowMs - this.#flushedMs < FLUSH_MS) return;
    this.#flushedMs = nowMs;
    const bytes = PAGE_SLOTS * SLOT_BYTES;
    const pages = [...this.#dirtyPages].sort((a, b) => a - b);
    this.#dirtyPages.clear();
    let left = pages.length;
    this.#writing = true;
    for (const page of pages) {
      const at = page * bytes;
      // A copy: the image goes on changing while this is under way.
      this.#file.write(at, Buffer.from(this.#image.subarray(at, at + bytes)), () => {
        if (--left === 0) this.#writing = false;
      });
    }
  }
}
