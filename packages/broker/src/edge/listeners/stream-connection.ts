import { formatAddress } from '@shoal/swim';
import type { ClientCertificate, ClientHandler, ClientSocket, ListenerRules } from '../../ports.ts';
import type { ByteStream } from './byte-stream.ts';
import { SMALL_WRITE_BYTES_MAX, type TurnFlush, WRITE_BYTES_MAX } from './turn-flush.ts';

/** Small chunks kept apart, at most: an answer of four bytes costs twenty times that by itself. */
const CHUNKS_MAX = 256;

/** Seconds that a closing connection may take to send what is left and to see the peer's FIN. */
export const CLOSE_SECONDS_MAX = 5;

const EMPTY = new Uint8Array(0);

/** What is known of the other end besides its socket's address. */
export interface Peer {
  /** Instead of the socket's address: where a proxy, or no network, stands between. */
  readonly remote?: string | undefined;
  readonly certificate?: ClientCertificate | undefined;
  /** As {@link ClientSocket.isExcess}. */
  readonly isExcess?: boolean | undefined;
}

/** Open → Closing (handler told, sending the rest, then FIN) → Closed; Dropping skips the rest. */
const State = { Open: 0, Dropping: 1, Closing: 2, Ended: 3, Closed: 4 } as const;

/**
 * One accepted connection over any transport, towards the broker a {@link ClientSocket}.
 *
 * At most one write is with the kernel. While it is blocked, chunks stay in our own list, to leave
 * together when it is done; so bytes given to `write` must not change until they are sent, which
 * for a blocked connection is later than the end of the turn. Nothing bounds that list but the
 * owner's watch on `pendingBytes`.
 */
export class StreamConnection implements ClientSocket {
  handler: ClientHandler | undefined = undefined;
  /** Place in the listener's wheel. */
  slot = 0;
  index = 0;
  readonly #socket: ByteStream;
  readonly #turn: TurnFlush;
  /** Written in this turn or while blocked: none, one bare, or a list from two. */
  #chunks: Uint8Array | Uint8Array[] | undefined = undefined;
  #chunkBytes = 0;
  #state: number = State.Open;
  #scheduled = false;
  #blocked = false;
  #drainAwaited = false;
  /** Somebody was told of pending bytes, and has to hear when they have left. */
  #isWatched = false;
  /** Of {@link pendingBytes}, what the listener's sum knows of. */
  #countedBytes = 0;
  #closingSeconds = 0;
  #remoteAddress: string | undefined;
  /** Writes that the stream has not answered yet, where it answers them. */
  #unanswered = 0;
  #onWritten: ((error?: Error | null) => void) | undefined = undefined;
  readonly certificate: ClientCertificate | undefined;
  readonly isExcess: boolean;

  /** @param peer what the stream itself does not know of its other end */
  constructor(socket: ByteStream, turn: TurnFlush, peer?: Peer) {
    this.#socket = socket;
    this.#turn = turn;
    this.#remoteAddress = peer?.remote;
    this.certificate = peer?.certificate;
    this.isExcess = peer?.isExcess ?? false;
  }

  get rules(): ListenerRules | undefined {
    return this.#turn.rules;
  }

  get pendingBytes(): number {
    this.#isWatched = this.#blocked;
    return this.#pending();
  }

  #pending(): number {
    return this.#blocked ? this.#chunkBytes + this.#underWayBytes() : this.#chunkBytes;
  }

  /**
   * Handed to the socket and not taken by the kernel. The handle knows it to the byte, so that a slow
   * reader of one large packet is seen to read; the stream only whether the whole write is done.
   */
  #underWayBytes(): number {
    const { _handle: handle } = this.#socket as ByteStream & {
      _handle?: { writeQueueSize?: unknown } | null;
    };
    const size = handle?.writeQueueSize;
    return typeof size === 'number' ? size : this.#socket.writableLength;
  }

  /** Looked up at first use: most connections never need it. */
  get remote(): string {
    if (this.#remoteAddress === undefined) {
      const { remoteAddress: host, remotePort: port } = this.#socket;
      if (host === undefined || port === undefined) return 'unknown';
      this.#remoteAddress = formatAddress(host.replace(/^::ffff:(?=\d+\.)/, ''), port);
    }
    return this.#remoteAddress;
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== State.Open || bytes.length === 0) return;
    this.#chunkBytes += bytes.length;
    if (this.#chunks === undefined) this.#chunks = bytes;
    else if (!Array.isArray(this.#chunks)) this.#chunks = [this.#chunks, bytes];
    else if (this.#chunks.push(bytes) % CHUNKS_MAX === 0) this.#compact();
    this.#schedule();
  }

  /** @param flush whether to send what was written; a second call can only hurry the first */
  close(flush: boolean): void {
    if (this.#state === State.Closed || this.#state === State.Dropping) return;
    if (flush && this.#state !== State.Open) return;
    this.#state = flush ? State.Closing : State.Dropping;
    this.#schedule();
  }

  /**
   * The read under way is the last to be handed over. Nothing is noticed of the peer meanwhile, not
   * even its end.
   */
  pause(): void {
    if (this.#state === State.Open) this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  awaitDrain(): void {
    if (this.#state !== State.Open) return;
    this.#drainAwaited = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#turn.schedule(this);
  }

  /** The end of a turn: sends what it wrote, and carries out a close. */
  flush(): void {
    this.#scheduled = false;
    if (this.#state === State.Closed) return;
    if (this.#state === State.Dropping) {
      this.#socket.destroy();
      this.#detach();
      return;
    }
    if (this.#blocked) this.#compact();
    else this.#send();
    if (this.#blocked || this.#countedBytes > 0) this.#count(this.#pending());
    if (this.#state === State.Closing) {
      this.#detach();
      if (!this.#blocked) {
        // From here on the peer's bytes are read and dropped until its FIN: closing with unread
        // bytes would reset the connection and might take our last packet with it.
        this.#state = State.Ended;
        this.resume();
        this.#socket.end();
      }
    } else if (this.#drainAwaited && !this.#blocked) {
      this.#drained();
    }
  }

  #drained(): void {
    this.#drainAwaited = false;
    this.handler?.onDrain();
  }

  #count(bytes: number): void {
    if (bytes === this.#countedBytes) return;
    this.#turn.pendingChanged(bytes - this.#countedBytes);
    this.#countedBytes = bytes;
  }

  /** Tells the handler, once, that it has no connection any more. */
  #detach(): void {
    const { handler } = this;
    this.handler = undefined;
    handler?.onClosed();
  }

  #send(): void {
    const chunks = this.#chunks;
    const socket = this.#socket;
    if (chunks === undefined) return;
    this.#chunks = undefined;
    if (Array.isArray(chunks)) {
      this.#sendList(chunks);
    } else {
      this.#chunkBytes = 0;
      this.#put(chunks);
    }
    // A write that the kernel took at once is off the stream's books already.
    if (socket.writableLength > 0) {
      this.#blocked = true;
      if (this.#turn.answersWrites) return;
      // 'drain' would only come above the high-water mark; an empty write behind the blocked one
      // is done when that is.
      socket.write(EMPTY, (error) => this.#onUnblocked(error));
    }
  }

  #put(bytes: Uint8Array): void {
    if (!this.#turn.answersWrites) {
      this.#socket.write(bytes);
      return;
    }
    this.#onWritten ??= (error) => {
      if (--this.#unanswered === 0 && this.#blocked) this.#onUnblocked(error);
    };
    this.#unanswered++;
    this.#socket.write(bytes, this.#onWritten);
  }

  #sendList(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket;
    const turn = this.#turn;
    let next = 0;
    // The first goes in any case: what the stream has not taken may be none of ours (a pong), and nothing would
    // tell that it has left.
    while (next < chunks.length && (next === 0 || socket.writableLength === 0)) {
      const first = chunks[next]!;
      const second = chunks[next + 1];
      if (second === undefined || first.length + second.length > WRITE_BYTES_MAX) {
        next++;
        this.#chunkBytes -= first.length;
        this.#put(first);
        continue;
      }
      const scratch = turn.scratch(this.#chunkBytes);
      let bytes = 0;
      for (let chunk = chunks[next]; chunk !== undefined; chunk = chunks[++next]) {
        if (bytes + chunk.length > scratch.length) break;
        scratch.set(chunk, bytes);
        bytes += chunk.length;
      }
      this.#chunkBytes -= bytes;
      this.#put(scratch.subarray(0, bytes));
      if (socket.writableLength > 0) turn.giveAway(scratch);
    }
    if (next < chunks.length) this.#chunks = chunks.slice(next);
  }

  /**
   * Merges the small chunks that a blocked connection was left with, so that what it really costs
   * is near `pendingBytes` even if all it is owed are four-byte acknowledgements.
   */
  #compact(): void {
    const chunks = this.#chunks;
    if (!Array.isArray(chunks)) return;
    let from = chunks.length;
    while (from > 0 && chunks[from - 1]!.length < SMALL_WRITE_BYTES_MAX) from--;
    if (chunks.length - from > 1) chunks.push(Buffer.concat(chunks.splice(from)));
  }

  #onUnblocked(error: Error | null | undefined): void {
    if (error || this.#state === State.Closed) return;
    this.#blocked = false;
    // Where each write is answered, most were taken at once all the same, and nobody waits for them.
    if (this.#isWatched || !this.#turn.answersWrites) this.#drainAwaited = true;
    this.#isWatched = false;
    this.flush();
  }

  /** Bytes arrived, in the listener's read buffer. */
  onData(buffer: Uint8Array, bytes: number): void {
    if (this.#state !== State.Open) return;
    this.handler?.onData(buffer, 0, bytes);
    this.#turn.young.received(bytes);
  }

  /** The peer sends nothing more: the MQTT connection is over, even if the peer still reads. */
  onEnd(): void {
    this.close(true);
  }

  /** The socket is closed, in order or by an error. */
  onClose(): void {
    this.#state = State.Closed;
    this.#chunks = undefined;
    this.#chunkBytes = 0;
    this.#count(0);
    this.#detach();
  }

  onSecond(nowMs: number): void {
    if (this.#state === State.Open) {
      this.handler?.onSecond(nowMs);
    } else if (++this.#closingSeconds > this.#turn.closeSecondsMax) {
      this.#socket.destroy();
    }
  }
}
