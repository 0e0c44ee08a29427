import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { ClientHandler, ClientSocket } from '../ports.ts';
import type { Transcript } from './transcript.ts';

/** The process at the broker's end of a pipe. */
export interface PipeHost {
  readonly name: string;
  readonly alive: boolean;
  /** Serves clients: its listener is open. */
  readonly listening: boolean;
  run(fn: () => void): void;
  /** Asks for `endOfTurn` when the current turn of the process is over. */
  markDirty(pipe: ClientPipe): void;
  accept(pipe: ClientPipe): ClientHandler;
}

/** The client at the other end. */
export interface PipeClient {
  onData(bytes: Uint8Array): void;
  /** The connection is gone as seen by the client; called at most once. */
  onClosed(): void;
}

/** What the kernel takes without the broker noticing that a client does not read. */
const KERNEL_BUFFER_BYTES = 16_384;
/** A client notices by itself, about this late, that the machine at the other end is gone. */
const SILENCE_MS = 6000;
const DELAY_MIN_MS = 0.05;
const DELAY_MAX_MS = 4;

/** Bytes that the broker is given at once. */
const CHUNK_BYTES_MAX = 65_000;

/** One read buffer for all connections, overwritten after each call: see {@link ClientHandler}. */
const STATIC_BUFFER = new Uint8Array(65_536);

/**
 * One client's network connection: ordered bytes both ways, with delay, in chunks that need not be
 * those that were written; it breaks when either end dies.
 */
export class ClientPipe implements ClientSocket {
  readonly remote: string;
  readonly host: PipeHost;
  /** The broker's side is open: accepted and neither closed nor dead. */
  serverOpen = false;
  /** The client has not closed, broken or lost it. */
  clientOpen = true;
  /** The client does not read before this virtual time. */
  stalledUntilMs = 0;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #transcript: Transcript;
  readonly #client: PipeClient;
  #handler: ClientHandler | undefined;
  #written: Uint8Array[] = [];
  #writtenBytes = 0;
  #closing = false;
  /** On the way from the client and arrived; undefined is the end of the connection. */
  readonly #received: (Uint8Array | undefined)[] = [];
  #readPaused = false;
  /** On the way to the client, oldest first; undefined is the end of the connection. */
  #inFlight: (Uint8Array | undefined)[] = [];
  #inFlightBytes = 0;
  #high = false;
  #drainAwaited = false;
  #toServerMs = 0;
  #toClientMs = 0;
  /** After the process died: bytes on the wire still arrive until chance stops them. */
  #cutShort = false;

  constructor(o: {
    scheduler: Scheduler;
    random: Prng;
    transcript: Transcript;
    host: PipeHost;
    client: PipeClient;
    remote: string;
  }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#transcript = o.transcript;
    this.host = o.host;
    this.#client = o.client;
    this.remote = o.remote;
  }

  /** Dials: the broker's side accepts after a while, or the client learns that it will not. */
  dial(): void {
    this.#scheduler.at(this.#nextToServer(), () => {
      if (!this.host.alive || !this.host.listening) {
        this.#scheduler.after(this.#delayMs(), () => this.#loseClient());
        return;
      }
      this.serverOpen = true;
      this.host.run(() => {
        this.#handler = this.host.accept(this);
      });
    });
  }

  // The broker's end.

  get pendingBytes(): number {
    return this.#writtenBytes + Math.max(0, this.#inFlightBytes - KERNEL_BUFFER_BYTES);
  }

  write(bytes: Uint8Array): void {
    if (this.#closing || !this.serverOpen) return;
    this.#written.push(bytes);
    this.#writtenBytes += bytes.length;
    this.host.markDirty(this);
  }

  close(flush: boolean): void {
    if (this.#closing || !this.serverOpen) return;
    if (!flush) {
      this.#written = [];
      this.#writtenBytes = 0;
    }
    this.#closing = true;
    this.host.markDirty(this);
  }

  pause(): void {
    this.#readPaused = true;
  }

  resume(): void {
    if (!this.#readPaused) return;
    this.#readPaused = false;
    this.#scheduler.after(0, () => this.host.run(() => this.#read()));
  }

  awaitDrain(): void {
    if (this.#closing || !this.serverOpen) return;
    this.#drainAwaited = true;
    this.host.markDirty(this);
  }

  /** The turn is over: what it wrote leaves as one. */
  endOfTurn(): void {
    if (this.#writtenBytes > 0) {
      const chunk = new Uint8Array(this.#writtenBytes);
      let at = 0;
      for (const part of this.#written) {
        chunk.set(part, at);
        at += part.length;
      }
      this.#written = [];
      this.#writtenBytes = 0;
      this.#transmit(chunk);
    }
    if (this.#drainAwaited && !this.#high && !this.#closing) {
      this.#drainAwaited = false;
      this.#scheduler.after(0, () => this.#drained());
    }
    if (this.#closing && this.serverOpen) {
      this.serverOpen = false;
      this.#scheduler.after(0, () => this.host.run(() => this.#handler?.onClosed()));
      this.#transmit(undefined);
    }
  }

  /** About once a second, for keep-alive. */
  second(nowMs: number): void {
    if (this.serverOpen) this.#handler?.onSecond(nowMs);
  }

  /** The process died. Usually the kernel tells the client; a lost machine does not. */
  processDied(silent: boolean): void {
    if (!this.serverOpen) return;
    this.serverOpen = false;
    this.#cutShort = true;
    if (silent)
      this.#scheduler.after(SILENCE_MS * (0.5 + this.#random.next()), () => this.#loseClient());
    else this.#transmit(undefined);
  }

  // The client's end.

  send(bytes: Uint8Array): void {
    if (!this.clientOpen) return;
    const cut = this.#splitAt(bytes);
    if (cut > 0) this.#sendChunks(bytes.slice(0, cut));
    this.#sendChunks(cut > 0 ? bytes.slice(cut) : bytes);
  }

  /** As a kernel gives them: never more than fits the read buffer. */
  #sendChunks(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES_MAX)
      this.#sendChunk(
        bytes.length <= CHUNK_BYTES_MAX ? bytes : bytes.slice(at, at + CHUNK_BYTES_MAX),
      );
  }

  /**
   * The client goes away. `quiet`: without a word, as when its network is gone, so that the broker
   * learns of it by keep-alive, takeover or never.
   */
  leave(quiet: boolean): void {
    if (!this.clientOpen) return;
    this.clientOpen = false;
    if (quiet) return;
    this.#scheduler.at(this.#nextToServer(), () => this.#receive(undefined));
  }

  #sendChunk(chunk: Uint8Array): void {
    this.#scheduler.at(this.#nextToServer(), () => {
      if (!this.serverOpen) return;
      this.#transcript.note(this.host.name, `bytes of ${this.remote}`, chunk);
      this.#receive(chunk);
    });
  }

  /** Bytes, or the end, reach the broker's kernel. */
  #receive(chunk: Uint8Array | undefined): void {
    this.#received.push(chunk);
    this.host.run(() => this.#read());
  }

  /** The process reads what has arrived, unless it has paused the connection. */
  #read(): void {
    while (!this.#readPaused && this.serverOpen && this.#handler && this.#received.length > 0) {
      const chunk = this.#received.shift();
      if (chunk === undefined) {
        this.serverOpen = false;
        this.#handler.onClosed();
        return;
      }
      const start = this.#random.int(0, 3);
      STATIC_BUFFER.set(chunk, start);
      this.#handler.onData(STATIC_BUFFER, start, start + chunk.length);
      // A view of the static buffer that was kept now reads rubbish.
      STATIC_BUFFER.fill(0xee, start, start + chunk.length);
    }
  }

  #transmit(chunk: Uint8Array | undefined): void {
    this.#inFlight.push(chunk);
    this.#inFlightBytes += chunk?.length ?? 0;
    if (this.#inFlightBytes > KERNEL_BUFFER_BYTES) this.#high = true;
    this.#scheduler.at(this.#nextToClient(), () => this.#arriveAtClient());
  }

  /** One chunk arrives: the oldest, not the one for which this call was scheduled. */
  #arriveAtClient(): void {
    if (this.clientOpen && this.#scheduler.nowMs < this.stalledUntilMs) {
      this.#scheduler.at(this.stalledUntilMs, () => this.#arriveAtClient());
      return;
    }
    const chunk = this.#inFlight.shift();
    if (chunk === undefined) {
      this.#loseClient();
      return;
    }
    this.#inFlightBytes -= chunk.length;
    if (this.#high && this.#inFlightBytes <= KERNEL_BUFFER_BYTES) {
      this.#high = false;
      this.#drainAwaited = false;
      this.#drained();
    }
    if (!this.clientOpen) return;
    if (this.#cutShort && this.#random.chance(0.5)) {
      this.#loseClient();
      return;
    }
    this.#transcript.note(this.remote, `bytes of ${this.host.name}`, chunk);
    const cut = this.#splitAt(chunk);
    if (cut > 0) this.#client.onData(chunk.subarray(0, cut));
    if (this.clientOpen) this.#client.onData(cut > 0 ? chunk.subarray(cut) : chunk);
  }

  #drained(): void {
    this.host.run(() => {
      if (this.serverOpen) this.#handler?.onDrain();
    });
  }

  /** Where a chunk is split in two, 0 for not at all. */
  #splitAt(chunk: Uint8Array): number {
    return this.#random.chance(0.05) && chunk.length > 1
      ? this.#random.int(1, chunk.length - 1)
      : 0;
  }

  #loseClient(): void {
    if (!this.clientOpen) return;
    this.clientOpen = false;
    this.#client.onClosed();
  }

  #nextToServer(): number {
    this.#toServerMs = Math.max(this.#toServerMs, this.#scheduler.nowMs + this.#delayMs());
    return this.#toServerMs;
  }

  #nextToClient(): number {
    const earliestMs = Math.max(this.#scheduler.nowMs + this.#delayMs(), this.stalledUntilMs);
    this.#toClientMs = Math.max(this.#toClientMs, earliestMs);
    return this.#toClientMs;
  }

  #delayMs(): number {
    return DELAY_MIN_MS + this.#random.next() ** 3 * (DELAY_MAX_MS - DELAY_MIN_MS);
  }
}
