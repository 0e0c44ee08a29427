/** The least of WebSocket that a load generator needs: an upgrade, masked frames out, payloads in. */

/** Ends the head of an HTTP message. */
export const HEAD_END = '\r\n\r\n';

export function upgradeRequest(host: string): string {
  const lines = [
    'GET /mqtt HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: mqtt',
  ];
  return `${lines.join('\r\n')}${HEAD_END}`;
}

const MASKED = 0x80;
const FINAL_BINARY = 0x82;

/** One binary frame. Its mask is zero, which changes no byte: masking is not the broker's cost. */
export function binaryFrame(payload: Uint8Array): Buffer {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + lengthBytes + 4 + length);
  frame[0] = FINAL_BINARY;
  frame[1] = MASKED | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, 2 + lengthBytes + 4);
  return frame;
}

/** Takes a server's frames apart, however they are cut; control frames are dropped. */
export class FrameStripper {
  #head = Buffer.alloc(0);
  #left = 0;
  #isData = false;

  /** @param onPayload called with each piece of payload, in order */
  push(chunk: Buffer, onPayload: (bytes: Buffer) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, at + this.#left);
        this.#left -= end - at;
        if (this.#isData) onPayload(chunk.subarray(at, end));
        at = end;
        continue;
      }
      const bytes =
        this.#head.length === 0
          ? chunk.subarray(at)
          : Buffer.concat([this.#head, chunk.subarray(at)]);
      const size = headBytes(bytes);
      if (bytes.length < size) {
        this.#head = Buffer.from(bytes);
        return;
      }
      at += size - this.#head.length;
      this.#head = Buffer.alloc(0);
      this.#isData = (bytes[0]! & 0x0f) < 8;
      const short = bytes[1]! & 0x7f;
      this.#left =
        short < 126
          ? short
          : short === 126
            ? bytes.readUInt16BE(2)
            : Number(bytes.readBigUInt64BE(2));
    }
  }
}

function headBytes(bytes: Buffer): number {
  if (bytes.length < 2) return 2;
  const short = bytes[1]! & 0x7f;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}
