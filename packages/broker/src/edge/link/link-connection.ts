import type { Socket } from 'node:net';
import { FRAME_BYTES_MAX } from '../../node/link/lanes.ts';
import {
  decodeHello,
  encodeFrame,
  encodeHello,
  FrameReader,
  HELLO_BYTES_MAX,
  type Hello,
  LINK_MAGIC,
} from './link-frame.ts';
import type { SecuredCallback, SecuredSocket } from './link-security.ts';

/** What a {@link LinkConnection} tells its owner, from the event loop. */
export interface LinkConnectionEvents {
  /** The other side said who it is; called once, before any frame. */
  readonly onHello: (hello: Hello) => void;
  readonly onFrame: (frame: Uint8Array) => void;
  /** The connection ended, and not by {@link LinkConnection.destroy}; called at most once. */
  readonly onEnd: (reason: string) => void;
}

/** Makes a stream to speak on of a socket, or says why there is none. */
export type SecureStep = (socket: Socket, done: SecuredCallback) => void;

/** From connect or accept to HELLO. */
const HANDSHAKE_TIMEOUT_MS = 3000;

/**
 * One socket that speaks the link's format: HELLO first, then frames; where there is a keyring, within
 * the stream that {@link SecureStep} makes of it.
 */
export class LinkConnection {
  #socket: Socket;
  #keyId = '';
  /** What is to be sent once the stream is secure. */
  #hello: Hello | undefined;
  readonly #events: LinkConnectionEvents;
  readonly #reader = new FrameReader(HELLO_BYTES_MAX);
  readonly #handshake: NodeJS.Timeout;
  #state: 'securing' | 'magic' | 'hello' | 'open' | 'over' = 'magic';

  constructor(socket: Socket, events: LinkConnectionEvents, secure?: SecureStep) {
    this.#socket = socket;
    this.#events = events;
    this.#handshake = setTimeout(() => this.#over('no HELLO in time'), HANDSHAKE_TIMEOUT_MS);
    if (secure === undefined) this.#attach(socket);
    else this.#secure(socket, secure);
  }

  #secure(socket: Socket, secure: SecureStep): void {
    this.#state = 'securing';
    socket.setNoDelay(true);
    socket.on('error', (error) => this.#over(error.message));
    socket.on('close', () => this.#over('closed'));
    // Later: the caller that makes this connection does not know it yet.
    queueMicrotask(() => {
      if (!this.#isOver()) secure(socket, (result) => this.#secured(result));
    });
  }

  #secured(result: SecuredSocket | string): void {
    if (typeof result === 'string') {
      this.#over(result);
    } else if (this.#isOver()) {
      result.socket.destroy();
    } else {
      this.#state = 'magic';
      this.#socket = result.socket;
      this.#keyId = result.keyId;
      this.#attach(result.socket);
      if (this.#hello !== undefined) this.sendHello(this.#hello);
    }
  }

  #attach(socket: Socket): void {
    // Frames are batched per turn already; Nagle would only add a delayed acknowledgement to each.
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (error) => this.#over(error.message));
    socket.on('end', () => this.#over('closed by the peer'));
    socket.on('close', () => this.#over('closed'));
    // The reader of the first byte may have paused it.
    socket.resume();
  }

  /** Of the key that the connection came up with; '' in clear. */
  get keyId(): string {
    return this.#keyId;
  }

  /** Bytes accepted by {@link sendFrame} and not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Takes bytes of the stream that another reader took before the connection was ours. */
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
    if (this.#state === 'securing') {
      this.#hello = hello;
      return;
    }
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
