import type { Socket } from 'node:net';
import { SWIM_MAGIC } from '../core/message.ts';

/*
 * One message each way on a stream:
 *
 *   0x53  length:4 (big endian)  message
 *
 * The first byte tells SWIM's streams from others on the same port.
 */
const PREFIX_BYTES = 5;

export function writeFrame(socket: Socket, message: Uint8Array): void {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt8(SWIM_MAGIC, 0);
  prefix.writeUInt32BE(message.length, 1);
  socket.cork();
  socket.write(prefix);
  socket.write(message);
  socket.uncork();
}

/** Whether to read on; if that takes a while, the stream waits. Never rejects. */
export type Admission = boolean | Promise<boolean>;

/** What a frame must keep to while it is read. */
export interface FrameLimits {
  readonly bytesMax: number;
  /** Bytes that all frames being read may hold together; default no such bound. */
  readonly budget?: ByteBudget;
  /** Whether to read on, judged by the first bytes of the message (all, if it is shorter). */
  readonly head?: { readonly bytes: number; admit(head: Buffer): Admission } | undefined;
}

/** A number of bytes that many share. */
export class ByteBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Whether there was room; takes it if so. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/**
 * Reads the one frame of a stream. Calls `done` once: with the message, or with null if the stream
 * ended, failed, was not SWIM's or broke its limits.
 *
 * Nothing is set aside for an announced length: memory follows the bytes that came.
 */
export function readFrame(
  socket: Socket,
  head: Buffer | undefined,
  limits: FrameLimits,
  done: (message: Uint8Array | null) => void,
): void {
  new FrameReader(socket, limits, done).start(head);
}

class FrameReader {
  readonly #socket: Socket;
  readonly #limits: FrameLimits;
  readonly #done: (message: Uint8Array | null) => void;
  readonly #chunks: Buffer[] = [];
  #received = 0;
  /** Bytes of the frame; of its prefix while the length is not known. */
  #wanted = PREFIX_BYTES;
  #hasLength = false;
  #isAdmitted: boolean;
  #isFinished = false;

  constructor(socket: Socket, limits: FrameLimits, done: (message: Uint8Array | null) => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#done = done;
    this.#isAdmitted = limits.head === undefined;
  }

  start(head: Buffer | undefined): void {
    this.#socket.on('data', this.#onData);
    this.#socket.on('close', this.#onClose);
    if (head !== undefined) this.#onData(head);
  }

  readonly #onClose = (): void => this.#finish(null);

  readonly #onData = (chunk: Buffer): void => {
    if (this.#limits.budget?.take(chunk.length) === false) {
      this.#finish(null);
      return;
    }
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    if (!this.#hasLength && this.#received >= PREFIX_BYTES && !this.#readPrefix()) {
      this.#finish(null);
      return;
    }
    if (this.#hasLength && !this.#isAdmitted) this.#judgeHead();
    this.#finishIfWhole();
  };

  /** @returns false for what is not SWIM's, or too long */
  #readPrefix(): boolean {
    const prefix = Buffer.concat(this.#chunks, PREFIX_BYTES);
    const length = prefix.readUInt32BE(1);
    if (prefix[0] !== SWIM_MAGIC || length > this.#limits.bytesMax) return false;
    this.#hasLength = true;
    this.#wanted = PREFIX_BYTES + length;
    return true;
  }

  #judgeHead(): void {
    const { head } = this.#limits;
    if (head === undefined) return;
    const judged = Math.min(this.#wanted, PREFIX_BYTES + head.bytes);
    if (this.#received < judged) return;
    const admission = head.admit(Buffer.concat(this.#chunks, judged).subarray(PREFIX_BYTES));
    if (typeof admission === 'boolean') this.#onAdmission(admission);
    else this.#waitFor(admission);
  }

  /** Nothing comes meanwhile: the head is judged once. */
  #waitFor(admission: Promise<boolean>): void {
    this.#socket.pause();
    void admission.then((admitted) => {
      if (this.#isFinished) return;
      this.#onAdmission(admitted);
      this.#socket.resume();
      this.#finishIfWhole();
    });
  }

  #onAdmission(admitted: boolean): void {
    this.#isAdmitted = admitted;
    if (!admitted) this.#finish(null);
  }

  #finishIfWhole(): void {
    if (!this.#hasLength || !this.#isAdmitted || this.#received < this.#wanted) return;
    this.#finish(Buffer.concat(this.#chunks).subarray(PREFIX_BYTES, this.#wanted));
  }

  #finish(message: Uint8Array | null): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onClose);
    this.#limits.budget?.give(this.#received);
    this.#done(message);
  }
}
