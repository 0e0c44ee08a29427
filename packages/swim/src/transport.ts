/** What a {@link Transport} does with what comes in. */
export interface TransportHandlers {
  /** A packet; `from` is an address that {@link Transport.send} can answer. The bytes are ours. */
  onPacket(from: string, bytes: Uint8Array): void;
  /**
   * One request. `reply(null)` ends it without an answer; only the first call counts. `from` names
   * the other end for a log, no more: a stream may come from any port.
   */
  onRequest(from: string, bytes: Uint8Array, reply: (bytes: Uint8Array | null) => void): void;
}

/** What a {@link Transport} is opened with. */
export interface TransportOptions extends TransportHandlers {
  /** host:port; port 0 for any that is free. */
  readonly listen: string;
  /** Longest request and longest answer, in bytes; what is longer is refused. */
  readonly streamBytesMax: number;
  /** Longest life of a request that came in; then it ends without an answer. */
  readonly streamTimeoutMs: number;
  /**
   * Judges a request by its first bytes (all, if it is shorter): what is not admitted need not be
   * read to its end, and never gets to `onRequest`. A transport may leave that out.
   */
  readonly requestHead?: {
    readonly bytes: number;
    admit(head: Uint8Array, from: string): boolean;
  };
}

/**
 * Why a request got no answer, as far as a transport can tell: `refused` by the host, where no process
 * listens; `closed` without an answer by a process that does.
 */
export type NoAnswer = 'refused' | 'closed';

/** How a request of ours ended; see {@link Transport.request}. */
export type RequestDone = (bytes: Uint8Array | null, why?: NoAnswer) => void;

/**
 * Packets and requests between addresses: all that membership wants of a network.
 *
 * Packets are best effort: they may be lost, come twice, or overtake each other; they never come
 * cut short or changed. Requests either get one answer or fail. Both copy the bytes given to them
 * before the call returns, and no handler ever runs within a call of send, request or reply.
 * After {@link Transport.close} no handler runs. test/contract/transport.ts checks every
 * implementation against this.
 */
export interface Transport {
  /** host:port that was bound. */
  readonly address: string;
  /** Packets given up before they left: too long, refused by the system, or too many waiting. */
  readonly failed: number;
  /** At most {@link PACKET_BYTES_MAX} bytes; more are given up. Never throws. */
  send(to: string, bytes: Uint8Array): void;
  /**
   * One request. `done` runs exactly once: with the answer, or with null when no process is there, the
   * other end gave none, one of the two is longer than streamBytesMax, timeoutMs have passed
   * (finding and connecting included), or this transport was closed. Never throws.
   */
  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void;
  /** Frees the address; resolves when it is free and every request of ours has ended. */
  close(): Promise<void>;
}

/**
 * Opens a {@link Transport}; one that wraps another (to seal what is sent, to count) takes one and
 * gives one.
 *
 * @throws SwimError SWIM_ERR_ADDRESS_IN_USE, SWIM_ERR_ADDRESS_INVALID; nothing stays bound
 */
export type TransportOpener = (options: TransportOptions) => Promise<Transport>;

/** Bytes of one packet: what UDP carries over IPv4; longer ones are given up by the sender. */
export const PACKET_BYTES_MAX = 65_507;
