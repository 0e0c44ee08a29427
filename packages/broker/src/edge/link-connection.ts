import type { Socket } from 'node:net';
import {
  decodeHello,
  encodeFrame,
  encodeHello,
  FRAME_BYTES_MAX,
  FrameReader,
  HELLO_BYTES_MAX,
  type Hello,
  LINK_MAGIC,
} from './link-frame.ts';

/** What a {@link LinkConnection} tells its owner, from the event loop. */
export interface LinkConnectionEvents {
  /** The other side said who it is; called once, before any frame. */
  readonly onHello: (hello: Hello) => void;
  readonly onFrame: (frame: Uint8Array) => void;
  /** The connection ended, and not by {@link LinkConnection.destroy}; called at most once. */
  readonly onEnd: (reason: string) => void;
}

/** From connect or accept to HELLO. */
const HANDSHAKE_TIMEOUT_MS = 3000;

/** One socket that speaks the link's format: HELLO first, then frames. */
export class LinkConnection {
  readonly #socket: Socket;
  readonly #events: LinkConnectionEvents;
  readonly #reader = new FrameReader(HELLO_BYTES_MAX);
  readonly #handshake: NodeJS.Timeout;
  #state: 'magic' | 'hello' | 'open' | 'over' = 'magic';

  constructor(socket: Socket, events: LinkConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    // Frames are batched per turn already; Nagle would only add a delayed acknowledgement to each.
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (error) => this.#over(error.message));
    socket.on('end', () => this.#over('closed by the peer'));
    socket.on('close', () => this.#over('closed'));
    // Whoever read the first byte may have paused it.
    socket.resume();
    this.#handshake = setTimeout(() => this.#over('no HELLO in time'), HANDSHAKE_TIMEOUT_MS);
  }

  /** Bytes accepted by {@link sendFrame} and not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Takes bytes of the stream: those that somebody else read before the connection was ours. */
  receive(chunk: Buffer): void {
    if (this.#state === 'over') return;
    if (this.#state === 'magic') {
      if (chunk.length === 0) return;
      if (chunk[0] !== LINK_MAGIC) {
        this.#over('not a link');
        return;
      }
      this.#state = 'hello';
      this.#reader.push(chunk.subarray(1));
    } else {
      this.#reader.push(chunk);
    }
    // What a frame causes may end the connection: nothing after that is delivered.
    while (!this.#isOver()) {
      const frame = this.#reader.next();
      if (frame === undefined) return;
      if (frame === 'invalid') this.#over('a frame of invalid length');
      else if (this.#state === 'open') this.#events.onFrame(frame);
      else this.#greet(frame);
    }
  }

  sendHello(hello: Hello): void {
    this.#socket.write(Buffer.concat([Buffer.of(LINK_MAGIC), ...encodeFrame(encodeHello(hello))]));
  }

  sendFrame(frame: Uint8Array): void {
    const chunks = encodeFrame(frame);
    if (chunks.length > 1) this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    if (chunks.length > 1) this.#socket.uncork();
  }

  /** Ends at once; what is pending is lost, and no event follows. */
  destroy(): void {
    this.#state = 'over';
    clearTimeout(this.#handshake);
    this.#socket.destroy();
  }

  /** Sends what is pending, then ends; no event follows. */
  end(): void {
    this.#state = 'over';
    clearTimeout(this.#handshake);
    this.#socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => this.#socket.destroy());
    this.#socket.end(() => this.#socket.destroy());
  }

  #greet(frame: Buffer): void {
    const hello = decodeHello(frame);
    if (hello === undefined) {
      this.#over('a malformed HELLO');
      return;
    }
    clearTimeout(this.#handshake);
    this.#state = 'open';
    this.#reader.bytesMax = FRAME_BYTES_MAX;
    this.#events.onHello(hello);
  }

  #isOver(): boolean {
    return this.#state === 'over';
  }

  #over(reason: string): void {
    if (this.#state === 'over') return;
    this.destroy();
    this.#events.onEnd(reason);
  }
}
