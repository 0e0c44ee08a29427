/**
 * Nodes tell each other which passwords they have verified, so that clients of a node that dies are known at the
 * others without argon2.
 *
 * They go as prints: HMACs under a key that the oldest node of the cluster has made and that is on no disk. A node
 * announces its key when it starts, and again to one that has a younger key; the oldest key is everybody's.
 */
import { type PasswordVerifier, PRINT_BYTES } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import type { LiveConnection } from '../route/client-port.ts';
import type { SessionPort } from './session-port.ts';

const PREFIX = '$shoal/verified/';
const KEY_TOPIC = `${PREFIX}key`;
const PRINTS_TOPIC = `${PREFIX}prints`;
/** Prints in one message. */
const PRINTS_BYTES_MAX = 1000 * PRINT_BYTES;
/** What this node has verified goes to the others so often. */
const SEND_MS = 100;
/** The key is announced so often at most. */
const ANNOUNCE_MS = 1000;
/** Wall clock of the key's making, then the key. */
const KEY_BYTES = 8 + PRINT_BYTES;

type VerifiedPort = Pick<SessionPort, 'env' | 'clock' | 'live' | 'router' | 'liveBarrier'>;

export class VerifiedPasswords implements LiveConnection {
  readonly id = 0;
  readonly clientId = '$shoal';
  readonly persistent = false;
  readonly window = 65_535;
  filterBytes = 0;
  readonly #port: VerifiedPort;
  readonly #passwords: PasswordVerifier;
  #key: Uint8Array;
  #started = false;
  #sentMs = 0;
  #announcedMs = Number.NEGATIVE_INFINITY;
  /** Somebody has a younger key. */
  #announces = false;

  constructor(port: VerifiedPort, passwords: PasswordVerifier) {
    this.#port = port;
    this.#passwords = passwords;
    this.#key = new Uint8Array(KEY_BYTES);
    new DataView(this.#key.buffer).setFloat64(0, port.env.wallMs());
    this.#key.set(passwords.key, 8);
  }

  /** @param isSettled shards and routes are there */
  tick(nowMs: number, isSettled: boolean): void {
    if (!this.#started && isSettled) this.#start();
    if (!this.#started || nowMs - this.#sentMs < SEND_MS) return;
    this.#sentMs = nowMs;
    const prints = this.#passwords.takePrints();
    for (let at = 0; at < prints.length; at += PRINTS_BYTES_MAX)
      this.#port.router.publishZero(
        this.#message(PRINTS_TOPIC, 0, prints.subarray(at, at + PRINTS_BYTES_MAX)),
      );
    if (this.#announces && nowMs - this.#announcedMs >= ANNOUNCE_MS) this.#announce(nowMs);
  }

  #start(): void {
    this.#started = true;
    const { live, clock } = this.#port;
    live.add({
      filter: `${PREFIX}+`,
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 2,
      identifier: 0,
      connection: this,
      zeroOnly: false,
      since: clock.next(),
    });
    this.#port.liveBarrier(() => {
      this.#announces = true;
    });
  }

  #announce(nowMs: number): void {
    this.#announces = false;
    this.#announcedMs = nowMs;
    const publisher = { wanted: true, slowed() {}, published() {} };
    this.#port.router.publish(this.#message(KEY_TOPIC, 1, this.#key), null, publisher);
  }

  #message(topic: string, qos: 0 | 1, payload: Uint8Array): Message {
    return {
      topic,
      payload,
      qos,
      retain: false,
      hlc: this.#port.clock.next(),
      expiresAtMs: 0,
      properties: new Uint8Array(0),
      publisher: this.clientId,
    };
  }

  deliverLive({ topic, payload }: Message): boolean {
    if (topic === PRINTS_TOPIC) this.#passwords.learn(payload);
    if (topic !== KEY_TOPIC || payload.length !== KEY_BYTES) return true;
    const order = Buffer.compare(payload, this.#key);
    if (order > 0) this.#announces = true;
    if (order < 0) {
      this.#key = Uint8Array.from(payload);
      this.#passwords.useKey(this.#key.subarray(8));
    }
    return true;
  }

  whenRoom(run: () => void): void {
    run();
  }

  /** Others had given this node up, and may have another key. */
  shutdown(): void {
    this.#announces = true;
  }
}
