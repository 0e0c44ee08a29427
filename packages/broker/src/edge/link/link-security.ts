/**
 * Links between nodes that have a keyring: TLS with a pre-shared key, after a ticket (ADR 0013).
 *
 *     dialler ──► 52 bytes sealed as membership seals (0x45 first) ──► TLS 1.2 ──► 'L' HELLO frames
 *
 * TLS ciphers streams where a seal for each frame would cost ten times as much, and its ephemeral keys
 * keep what was recorded closed even to who gets the keyring later. Its handshake costs the accepting
 * side milliseconds, though, before the dialler has shown a key: hence the ticket, which costs a
 * stranger's bytes a counter, and is taken once.
 */

import { constants, createHmac } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, connect as secure, TLSSocket } from 'node:tls';
import { type Encryption, Keyring, keyId, SEAL_BYTES, Sealer } from '@shoal/swim';
import type { KeyringKeys } from '../store/keyring-file.ts';
import { LINK_MAGIC } from './link-frame.ts';

/** A stream to speak the link's format on, and the id of the key that it came up with, '' for none. */
export interface SecuredSocket {
  readonly socket: Socket;
  readonly keyId: string;
}

/** Called once: with the stream, or with why there is none. */
export type SecuredCallback = (result: SecuredSocket | string) => void;

export interface LinkSecurityOptions {
  readonly keys: KeyringKeys;
  readonly encryption: Encryption;
  readonly clusterId: () => string;
}

/** First byte of a ticket. */
const TICKET_MAGIC = 0x45;
/** Diallers whose used tickets are remembered; beyond, that of the one silent for longest is not. */
const DIALLERS_MAX = 16_384;
const CIPHERS = 'DHE-PSK-AES256-GCM-SHA384';
const TLS = {
  ciphers: CIPHERS,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  // A session that is resumed asks for no key: one that was removed would do.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;
const PSK_LABEL = 'shoal link v1';
const NOTHING = new Uint8Array();

export class LinkSecurity {
  readonly #encryption: Encryption;
  readonly #clusterId: () => string;
  readonly #sealer: Sealer;
  readonly #context = createSecureContext({ ...TLS, dhparam: 'auto' });
  /** Pre-shared keys by the id of the key that they come from, which TLS calls identity. */
  #secrets: ReadonlyMap<string, Buffer> = new Map();

  constructor(options: LinkSecurityOptions) {
    this.#encryption = options.encryption;
    this.#clusterId = options.clusterId;
    const keyring = Keyring.of(options.keys);
    this.#sealer = new Sealer({ keyring, clusterId: '', sendersMax: DIALLERS_MAX });
    this.setKeys(options.keys);
  }

  /** Uses these keys for what comes up from now on, the first one to dial. */
  setKeys(keys: KeyringKeys): void {
    this.#sealer.keyring = Keyring.of(keys);
    this.#secrets = new Map(keys.map((key) => [keyId(key), secretOf(key)]));
  }

  /** Whether a link that came up with this key may stay; one in clear stays until it ends. */
  holds(id: string): boolean {
    return id === '' || this.#secrets.has(id);
  }

  /** Connections refused before any handshake. */
  get refused(): number {
    const { clearRefused, sealKeyUnknown, sealForged, sealReplayed, sealMalformed } =
      this.#sealer.counters;
    return clearRefused + sealKeyUnknown + sealForged + sealReplayed + sealMalformed;
  }

  /** Takes a socket that is connecting, and has nothing written yet. */
  dial(socket: Socket, done: SecuredCallback): void {
    if (this.#encryption === 'send-clear') {
      done({ socket, keyId: '' });
      return;
    }
    socket.once('connect', () => {
      const [entry] = this.#secrets;
      const [identity, psk] = entry as [string, Buffer];
      this.#sealer.clusterId = this.#clusterId();
      socket.write(this.#sealer.seal('link', NOTHING));
      const stream = secure({
        socket,
        ...TLS,
        pskCallback: () => ({ psk, identity }),
        // The key shows who it is: there are no certificates, and no names in them.
        checkServerIdentity: () => undefined,
      });
      settle(stream, 'secureConnect', identity, done);
    });
  }

  /** Takes an accepted socket, and what was read of it. */
  accept(socket: Socket, head: Buffer, done: SecuredCallback): void {
    if (head[0] === LINK_MAGIC) {
      if (this.#encryption === 'required') {
        this.#sealer.counters.clearRefused++;
        done('it is not encrypted');
      } else {
        socket.unshift(head);
        done({ socket, keyId: '' });
      }
      return;
    }
    if (head[0] !== TICKET_MAGIC) {
      done('not a link');
      return;
    }
    let bytes = head;
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < SEAL_BYTES) return;
      socket.off('data', onData);
      socket.pause();
      this.#admit(socket, bytes, done);
    };
    if (bytes.length >= SEAL_BYTES) {
      this.#admit(socket, bytes, done);
    } else {
      socket.on('data', onData);
      socket.resume();
    }
  }

  #admit(socket: Socket, bytes: Buffer, done: SecuredCallback): void {
    this.#sealer.clusterId = this.#clusterId();
    const ticket = this.#sealer.open('link', bytes.subarray(0, SEAL_BYTES));
    if (ticket === undefined) {
      done('it has no key of ours');
      return;
    }
    const rest = bytes.subarray(SEAL_BYTES);
    // TLS reads what is buffered here first.
    if (rest.length > 0) socket.unshift(rest);
    let used = '';
    const stream = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      pskCallback: (_socket: TLSSocket, identity: string) => {
        used = identity;
        return this.#secrets.get(identity) ?? null;
      },
    } as ConstructorParameters<typeof TLSSocket>[1]);
    settle(stream, 'secure', () => used, done);
  }
}

/** Waits for the handshake; the caller bounds its time by destroying the socket. */
function settle(
  stream: TLSSocket,
  event: 'secure' | 'secureConnect',
  id: string | (() => string),
  done: SecuredCallback,
): void {
  const onError = (error: Error): void => {
    stream.off(event, onSecure);
    // No listener is left; what comes after the first error says nothing new.
    stream.on('error', () => {});
    done(`no TLS: ${error.message}`);
  };
  const onSecure = (): void => {
    stream.off('error', onError);
    const keyId = typeof id === 'string' ? id : id();
    done(keyId === '' ? 'no TLS: it showed no key' : { socket: stream, keyId });
  };
  stream.once('error', onError);
  stream.once(event, onSecure);
}

function secretOf(key: Uint8Array): Buffer {
  return createHmac('sha256', key).update(PSK_LABEL).digest();
}
