/**
 * The outside world, as the cores see it: types, and the sizes that they have in common.
 *
 * A core (placement, shard, session, mqtt, node) never touches a clock, a socket, a disk or a random
 * source. It is given these interfaces. `edge/` implements them with Node.js, `sim/` with virtual
 * time and one seed. A contract suite (test/contract) runs on every implementation of {@link Store},
 * {@link ClientSocket} and links between nodes.
 *
 * Calls into a core never overlap: an implementation calls back from its own event loop, never from
 * within the call that asked.
 */

/** One change of a {@link Store}: a put, or with `value` null a delete. */
export interface StoreChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** A stored record. */
export interface StoreRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * An ordered map of bytes to bytes on disk, keys compared as unsigned bytes.
 *
 * Batches are atomic and durable in the order in which they were given: when a batch is durable, so
 * is every earlier one. Reads see every earlier write, durable or not. An error of `write` is final:
 * the store accepts nothing after it, and the process ends (a failed fsync is never tried again).
 */
export interface Store {
  /** Applies `changes` as one atomic batch. `done` runs when it is durable (`sync`) or accepted. */
  write(changes: readonly StoreChange[], sync: boolean, done: () => void): void;
  /** Values in the order of `keys`; undefined where there is none. */
  getMany(
    keys: readonly Uint8Array[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void;
  /**
   * Records with gte ≤ key < lt in key order: at most `limit` of them, and none after the one with
   * which their values come to `bytesMax` bytes. So there is one at least, if the range has any and
   * `limit` is not 0. `more`: the range may have others behind the last one given.
   */
  scan(
    gte: Uint8Array,
    lt: Uint8Array,
    limit: number,
    bytesMax: number,
    done: (records: readonly StoreRecord[], more: boolean) => void,
  ): void;
}

/**
 * A small file beside the store, written in place and now and then synced: what it says must not be lost
 * together with the store. An error is reported once and ends the writing: from then on the file is out of date.
 */
export interface MarkFile {
  /** What it held when it was opened. */
  readonly initial: Uint8Array;
  /** `bytes` are the file's to keep. `done` runs when the kernel has them. */
  write(at: number, bytes: Uint8Array, done: () => void): void;
}

/**
 * The sending half of one client's network connection.
 *
 * `write` may keep `bytes` until the end of the turn, so the caller must not change them before it.
 * Several writes of one turn leave as one. `close(true)` sends what was written first.
 */
export interface ClientSocket {
  write(bytes: Uint8Array): void;
  close(flush: boolean): void;
  /** Stops and goes on reading: a client that publishes faster than it is answered waits. */
  pause(): void;
  resume(): void;
  /** Asks for one {@link ClientHandler.onDrain}, in this turn's end if the kernel takes all at once. */
  awaitDrain(): void;
  /** Bytes accepted and not yet handed to the kernel: what a slow consumer owes. */
  readonly pendingBytes: number;
  /** Remote address for logs and `session show`, as host:port; `unix:PATH` where there is no network. */
  readonly remote: string;
  /** The certificate by which TLS has verified the client. */
  readonly certificate?: ClientCertificate | undefined;
  /** What the listener allows less than the node. */
  readonly rules?: ListenerRules | undefined;
  /** There is no room for it: it is held to be told so when its CONNECT has come. */
  readonly isExcess?: boolean | undefined;
}

/**
 * What a listener offers its clients, where that is less than its node offers; by the names of the node's
 * settings in `limits` and `mqtt`, with their units.
 */
export interface ListenerOffer {
  readonly publishesInFlight?: number | undefined;
  readonly payloadBytes?: number | undefined;
  readonly topicAliases?: number | undefined;
  readonly sessionExpiryMaxSeconds?: number | undefined;
  readonly subscriptionsPerSession?: number | undefined;
  readonly topicLevels?: number | undefined;
  readonly serverKeepAlive?: number | undefined;
  readonly maximumQos?: number | undefined;
  readonly retainAvailable?: boolean | undefined;
  readonly wildcardSubscriptionAvailable?: boolean | undefined;
  readonly sharedSubscriptionAvailable?: boolean | undefined;
  readonly subscriptionIdentifiersAvailable?: boolean | undefined;
}

/** What a listener allows its clients, where that is less than the limits of the node. */
export interface ListenerRules extends ListenerOffer {
  /** Of the listener, for people. */
  readonly name?: string | undefined;
  /** Bytes of the largest MQTT packet from a client. */
  readonly maxPacketBytes?: number | undefined;
  /** Protocol levels that it accepts, of 3 (MQTT 3.1), 4 (3.1.1) and 5; absent for all. */
  readonly protocolVersions?: readonly number[] | undefined;
}

/** Who a client is, by a certificate that an authority of the listener has signed. */
export interface ClientCertificate {
  /** Distinguished name, most specific part first: `CN=dev-1,O=Example`. */
  readonly subject: string;
  /** SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string;
}

/**
 * The receiving half: what the listener calls for one accepted connection.
 *
 * `onData`'s buffer is the listener's one static read buffer: valid during the call only, so
 * the receiver copies what must outlive the call.
 */
export interface ClientHandler {
  onData(buffer: Uint8Array, start: number, end: number): void;
  /** The connection is gone (end, error, or close by us); called exactly once. */
  onClosed(): void;
  /** Called about once a second, for keep-alive. */
  onSecond(nowMs: number): void;
  /**
   * Everything written has reached the kernel: after it had not taken all at once, or because
   * {@link ClientSocket.awaitDrain} asked for it.
   */
  onDrain(): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Structured log: message and plain fields. */
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

/**
 * A member as membership reports it. `state` is SWIM's; `meta` is what the member says of itself.
 */
export interface MemberInfo {
  readonly name: string;
  /** Fresh at every start of the process, on disk before the first packet; higher is newer. */
  readonly bootEpoch: number;
  readonly state: 'alive' | 'suspect' | 'faulty' | 'left';
  /** In the stable view: placement counts on it. Elections and links go by `state`; the default, too. */
  readonly inStableView?: boolean;
  /** Says of itself that its main loop or its disk hangs: placement prefers others as leaders. */
  readonly unwell: boolean;
  /** Cluster address, host:port: SWIM over UDP and TCP, and the links between nodes over TCP. */
  readonly address: string;
  readonly meta: MemberMeta;
}

/** A node to hold a link with. */
export interface LinkPeer {
  readonly name: string;
  readonly bootEpoch: number;
  /** Cluster address, host:port or [host]:port. */
  readonly address: string;
}

/** What a member says of itself (at most 512 bytes encoded). */
export interface MemberMeta {
  /** Random identity of the data folder; a wiped folder is another voter. */
  readonly storeId: string;
  readonly zone: string;
  /** Failure domain below the zone: one copy of a shard per host. */
  readonly host: string;
  readonly weight: number;
  /** Address for MQTT clients, host:port (Server Reference). */
  readonly mqtt: string;
  /** Address of the admin API, host:port. */
  readonly admin: string;
  /** True once the node drains before leaving: placement gives it nothing. */
  readonly leaving: boolean;
}

/** Bytes of the print of a password, and of the key that it is made under. */
export const PRINT_BYTES = 32;

/** Whether passwords fit argon2id hashes, and which have been found to. */
export interface PasswordVerifier {
  /** `done` never within this call; what waits is bounded by the caller. */
  verify(hash: string, password: Uint8Array, done: (fits: boolean) => void): void;
  /** A password whose print under this key is known fits without another look. */
  readonly key: Uint8Array;
  useKey(key: Uint8Array): void;
  /** Prints of passwords that another node has found to fit, one behind the other. */
  learn(prints: Uint8Array): void;
  /** Those that this node has found since it was last asked. */
  takePrints(): Uint8Array;
}

/** What the node core asks of the process around it. */
export interface NodeEnv {
  /** Monotonic milliseconds, may have a fraction. */
  nowMs(): number;
  /** Wall-clock milliseconds since 1970; may step. */
  wallMs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  readonly store: Store;
  /** Absent where nothing is kept beside the store: a loss of its end then does not show. */
  readonly marks?: MarkFile;
  /** What is acknowledged from now on is not synced (`memory`): a loss of power takes it. */
  unsynced?(): void;
  /** The durability of the cluster that this node has joined; it replaces the configured one. */
  adopted?(durability: 'disk' | 'memory'): void;
  /** What `NodeOptions.damage` named is on record in the store. */
  damageNoted?(): void;
  /**
   * Sends one frame to a linked peer. Frames of one link arrive in order and once, or the link goes
   * down on both sides. Dropped silently if the link is down. The bytes are the link's to keep.
   */
  sendFrame(peer: string, frame: Uint8Array): void;
  /** What came on the link cannot be read: both ends are to start anew. */
  resetLink?(peer: string, why: string): void;
  /** Asks for `NodeCore.flush()` at the end of the turn; many calls, one flush. */
  scheduleFlush(): void;
  /** Asks for the next `NodeCore.tick()` within its usual pause: a node that was calm no longer is. */
  hasten?(): void;
  /** Absent where clients are not asked for any. */
  readonly passwords?: PasswordVerifier;
  readonly log: Log;
  /** What protocol step happens, for the simulator's coverage; absent in production. */
  trace?(phase: string, fields?: Record<string, unknown>): void;
  /** An operating error after which the process must end (code of BROKER_ERR_*). */
  fatal(code: string, message: string): void;
}
