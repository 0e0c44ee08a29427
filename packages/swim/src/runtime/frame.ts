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

/**
 * Reads the one frame of a stream. Calls `done` once: with the message, or with null if the stream
 * ended, failed, was not SWIM's or announced more than `bytesMax`.
 *
 * Nothing is set aside for what is only announced: memory follows the bytes that came.
 */
export function readFrame(
  socket: Socket,
  head: Buffer | undefined,
  bytesMax: number,
  done: (message: Uint8Array | null) => void,
): void {
  const chunks: Buffer[] = [];
  let received = 0;
  let wanted = PREFIX_BYTES;
  let hasLength = false;
  const finish = (message: Uint8Array | null): void => {
    socket.off('data', onData);
    socket.off('close', onClose);
    done(message);
  };
  const onClose = (): void => finish(null);
  const onData = (chunk: Buffer): void => {
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
    if (hasLength && received >= wanted) {
      finish(Buffer.concat(chunks).subarray(PREFIX_BYTES, wanted));
    }
  };
  socket.on('data', onData);
  socket.on('close', onClose);
  if (head !== undefined) onData(head);
}
