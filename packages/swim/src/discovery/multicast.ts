import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { formatAddress, isWildcard, parseAddress } from '../address.ts';
import type { Discovery, DiscoveryHost, Finder } from './discovery.ts';
import { Hello } from './hello.ts';

/** Members that answer one question, on average; all, if there are no more. */
const ANSWERERS = 8;
/** Time that a group has to answer. */
const ANSWER_MS = 400;

/** What {@link multicastSeeds} asks. */
export interface MulticastSeedsOptions {
  /** IPv4 multicast group; 239.192.0.0/14 is free for use within an organization (RFC 2365). */
  readonly group: string;
  /** UDP port of the group, 1 to 65535; another than the cluster's. */
  readonly port: number;
  /** IPv4 address of the interface; default that of the agent, or the system's choice. */
  readonly iface?: string;
}

/**
 * Asks a UDP multicast group who is there, and answers others that ask, as long as it is open.
 *
 * Of more than eight members, eight answer a question on average. Stays within one network segment
 * (TTL 1). Without a key any host there can ask and answer, and a
 * joiner joins the first that answers: give each cluster a group or a port of its own.
 */
export function multicastSeeds(options: MulticastSeedsOptions): Discovery {
  const at = options.iface === undefined ? '' : `@${options.iface}`;
  return {
    describes: `multicast:${options.group}:${options.port}${at}`,
    open: async (host) => await MulticastFinder.open(options, host),
  };
}

class MulticastFinder implements Finder {
  readonly #options: MulticastSeedsOptions;
  readonly #host: DiscoveryHost;
  /** Hears the group's questions. */
  readonly #group: Socket;
  /** Asks and answers, so that answers come to one process only: the group's port may be shared. */
  readonly #own: Socket;

  private constructor(
    options: MulticastSeedsOptions,
    host: DiscoveryHost,
    group: Socket,
    own: Socket,
  ) {
    this.#options = options;
    this.#host = host;
    this.#group = group;
    this.#own = own;
    for (const socket of [group, own]) {
      socket.on('message', (bytes, { address, port }) => {
        if (socket === own || this.#isChosen()) this.#onPacket(bytes, address, port);
      });
      socket.on('error', () => {});
    }
  }

  static async open(options: MulticastSeedsOptions, host: DiscoveryHost): Promise<MulticastFinder> {
    const bound = parseAddress(host.transport.address).host;
    const iface = options.iface ?? (isWildcard(bound) || bound.includes(':') ? undefined : bound);
    const group = createSocket({ type: 'udp4', reuseAddr: true });
    const own = createSocket('udp4');
    try {
      // A socket bound to the group's address hears nothing else that is sent to the port.
      const address = process.platform === 'win32' ? '0.0.0.0' : options.group;
      group.bind({ port: options.port, address });
      own.bind({ port: 0, address: iface ?? '0.0.0.0' });
      await Promise.all([once(group, 'listening'), once(own, 'listening')]);
      group.addMembership(options.group, iface);
      if (iface !== undefined) own.setMulticastInterface(iface);
      own.setMulticastTTL(1);
      own.setMulticastLoopback(true);
    } catch (error) {
      group.close();
      own.close();
      throw error;
    }
    return new MulticastFinder(options, host, group, own);
  }

  async search(found: (seed: string) => void, signal: AbortSignal): Promise<void> {
    const { group, port } = this.#options;
    const question = this.#host.hello.ask(found);
    try {
      // Twice, since packets get lost; a member that answers twice is found once.
      for (let n = 0; n < 2 && !signal.aborted; n++) {
        await this.#send(question.bytes, group, port);
        await wait(ANSWER_MS / 2, undefined, { signal }).catch(() => {});
      }
    } finally {
      question.end();
    }
  }

  async close(): Promise<void> {
    const closed = [once(this.#group, 'close'), once(this.#own, 'close')];
    this.#group.close();
    this.#own.close();
    await Promise.all(closed);
  }

  /** In a large cluster a few members answer each question: the answers of all would be a flood. */
  #isChosen(): boolean {
    return Math.random() * this.#host.presentCount() < ANSWERERS;
  }

  #onPacket(bytes: Uint8Array, ip: string, port: number): void {
    const plain = this.#host.wrap.unwrap(formatAddress(ip, port), bytes);
    if (plain === undefined || !Hello.is(plain)) return;
    const answer = this.#host.hello.take(plain);
    if (answer === undefined) return;
    // Best effort, like any packet: an asker without an answer asks again.
    this.#send(answer, ip, port).catch(() => {});
  }

  async #send(bytes: Uint8Array, ip: string, port: number): Promise<void> {
    const sealed = this.#host.wrap.wrap(bytes);
    await new Promise<void>((resolve, reject) => {
      this.#own.send(sealed, port, ip, (error) => {
        if (error === null) resolve();
        else reject(new Error(`${formatAddress(ip, port)}: ${error.message}`, { cause: error }));
      });
    });
  }
}
