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
  const { bytesMax, budget } = limits;
  const chunks: Buffer[] = [];
  let received = 0;
  let wanted = PREFIX_BYTES;
  let hasLength = false;
  let isAdmitted = limits.head === undefined;
  let isFinished = false;
  const finish = (message: Uint8Array | null): void => {
    if (isFinished) return;
    isFinished = true;
    socket.off('data', onData);
    socket.off('close', onClose);
    budget?.give(received);
    done(message);
  };
  const onClose = (): void => finish(null);
  const onAdmission = (admitted: boolean): void => {
    isAdmitted = admitted;
    if (!admitted) finish(null);
  };
  const finishIfWhole = (): void => {
    if (hasLength && isAdmitted && received >= wanted) {
      finish(Buffer.concat(chunks).subarray(PREFIX_BYTES, wanted));
    }
  };
  const onData = (chunk: Buffer): void => {
    if (budget?.take(chunk.length) === false) {
      finish(null);
      return;
    }
    chunks.push(chunk);
    received += chunk.length;
    if (!hasLength && received >= PREFIX_BYTES) {
      const prefix = Buffer.concat(chunks, PREFIX_BYTES);
      const length = prefix.readUInt32BE(1);
      if (prefix[0] !== SWIM_MAGIC || length > bytesMax) {
        finish(null);
        return;
      }
      hasLength = true;
      wanted = PREFIX_BYTES + length;
    }
    if (hasLength && !isAdmitted && limits.head !== undefined) {
      const judged = Math.min(wanted, PREFIX_BYTES + limits.head.bytes);
      if (received >= judged) {
        const admission = limits.head.admit(Buffer.concat(chunks, judged).subarray(PREFIX_BYTES));
        if (typeof admission === 'boolean') onAdmission(admission);
        else waitFor(admission);
      }
    }
    finishIfWhole();
  };
  /** Nothing comes meanwhile: the head is judged once. */
  const waitFor = (admission: Promise<boolean>): void => {
    socket.pause();
    void admission.then((admitted) => {
      if (isFinished) return;
      onAdmission(admitted);
      socket.resume();
      finishIfWhole();
    });
  };
  socket.on('data', onData);
  socket.on('close', onClose);
  if (head !== undefined) onData(head);
}
