import { formatAddress, parseAddress } from '../address.ts';
import { SwimError } from '../errors.ts';
import {
  PACKET_BYTES_MAX,
  type RequestDone,
  type Transport,
  type TransportOptions,
} from '../transport.ts';

/** Packets, requests and answers that wait in a hub; what comes then fails as if lost. */
const WAITING_MAX = 65_536;
const PORTS = 65_535;

/**
 * A network within one process, for tests of what is built on membership: no socket, no port that
 * may be taken, nothing lost unless too much waits.
 *
 * ```ts
 * const hub = new MemoryHub();
 * const a = await SwimAgent.start({ ...options, listen: 'a:1', transport: hub.open });
 * const b = await SwimAgent.start({ ...options, listen: 'b:1', transport: hub.open, seeds: ['a:1'] });
 * ```
 *
 * Everything arrives in the order sent, in a later turn of the event loop. At most
 * 65,536 packets, requests and answers wait; what comes then fails as if lost.
 */
export class MemoryHub {
  readonly #transports = new Map<string, MemoryTransport>();
  #waiting: (() => void)[] = [];
  #lastPort = 0;

  /** Opens a transport at `listen`, any host:port; port 0 for one of the hub's choice. */
  readonly open = async (options: TransportOptions): Promise<Transport> => {
    const { host, port } = parseAddress(options.listen);
    const address = formatAddress(host, port === 0 ? this.#freePort(host) : port);
    if (this.#transports.has(address)) throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', address);
    const transport = new MemoryTransport(address, options, this);
    this.#transports.set(address, transport);
    return transport;
  };

  /** @internal */
  at(address: string): MemoryTransport | undefined {
    return this.#transports.get(address);
  }

  /** @internal */
  free(address: string): void {
    this.#transports.delete(address);
  }

  /** Has `deliver` run in a later turn; false if too much waits already. @internal */
  later(deliver: () => void): boolean {
    if (this.#waiting.length >= WAITING_MAX) return false;
    if (this.#waiting.length === 0) setImmediate(() => this.#turn());
    this.#waiting.push(deliver);
    return true;
  }

  #turn(): void {
    const due = this.#waiting;
    this.#waiting = [];
    for (const deliver of due) deliver();
  }

  #freePort(host: string): number {
    for (let tries = 0; tries < PORTS; tries++) {
      this.#lastPort = (this.#lastPort % PORTS) + 1;
      if (!this.#transports.has(formatAddress(host, this.#lastPort))) return this.#lastPort;
    }
    throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', `Every port of ${host}.`);
  }
}

/** One address of a {@link MemoryHub}. */
class MemoryTransport implements Transport {
  readonly address: string;
  failed = 0;
  readonly #options: TransportOptions;
  readonly #hub: MemoryHub;
  /** How to end each request of ours that is under way. */
  readonly #pending = new Set<() => void>();
  /** How to end each request that came in and is not answered. */
  readonly #serving = new Set<() => void>();
  #closed = false;

  constructor(address: string, options: TransportOptions, hub: MemoryHub) {
    this.address = address;
    this.#options = options;
    this.#hub = hub;
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#closed) return;
    const copy = bytes.slice();
    const sent =
      copy.length <= PACKET_BYTES_MAX &&
      this.#hub.later(() => this.#hub.at(to)?.take(this.address, copy));
    if (!sent) this.failed++;
  }

  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    const finish: RequestDone = (answer, why) => {
      if (!this.#pending.delete(fail)) return;
      clearTimeout(timer);
      done(answer, why);
    };
    const fail = (): void => finish(null);
    const timer = setTimeout(fail, timeoutMs);
    this.#pending.add(fail);
    const copy = bytes.slice();
    const carry = (): void => {
      const peer = this.#hub.at(to);
      if (this.#closed) fail();
      else if (peer === undefined) finish(null, 'refused');
      else peer.#serve(this.address, copy, finish);
    };
    const tooLong = copy.length > this.#options.streamBytesMax;
    if (!this.#hub.later(tooLong ? fail : carry)) setImmediate(fail);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#hub.free(this.address);
    for (const end of [...this.#pending, ...this.#serving]) end();
  }

  /** Takes a packet in. */
  take(from: string, bytes: Uint8Array): void {
    this.#options.onPacket(from, bytes);
  }

  /** Takes a request in; the answer travels back in a later turn. */
  #serve(from: string, bytes: Uint8Array, answer: (bytes: Uint8Array | null) => void): void {
    const { streamBytesMax, streamTimeoutMs } = this.#options;
    const reply = (bytes: Uint8Array | null): void => {
      if (!this.#serving.delete(end)) return;
      clearTimeout(timer);
      const refused = bytes === null || bytes.length > streamBytesMax;
      const copy = refused ? null : bytes.slice();
      if (!this.#hub.later(() => answer(copy))) setImmediate(() => answer(null));
    };
    const end = (): void => reply(null);
    const timer = setTimeout(end, streamTimeoutMs);
    this.#serving.add(end);
    if (bytes.length > streamBytesMax) reply(null);
    else this.#options.onRequest(from, bytes, reply);
  }
}
