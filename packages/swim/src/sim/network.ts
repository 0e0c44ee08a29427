import type { RequestDone, Transport, TransportHandlers, TransportOptions } from '../transport.ts';
import type { Prng } from './prng.ts';
import type { TimeSource } from './scheduler.ts';
import { SimTransport } from './sim-transport.ts';

/** Linux: a lost SYN is sent again after 1 s, data after at least 200 ms. */
const SYN_RTO_MS = 1_000;
const DATA_RTO_MS = 200;
const SEGMENT_BYTES = 1_448;

/** Delays of a log-normal distribution: half are below the median, exp(sigma) is its spread. */
export interface LogNormal {
  readonly medianMs: number;
  readonly sigma: number;
}

/** What the network does to datagrams; each is drawn apart. Streams take delay and loss. */
export interface NetworkFaults {
  /** Probability that a datagram, or a segment of a stream, is lost. */
  dropRate: number;
  /** Probability that it comes twice. */
  duplicateRate: number;
  /** Probability that it is held back by up to reorderMs more, so that later ones overtake it. */
  reorderRate: number;
  reorderMs: number;
  /** Uniform delay, unless `logNormal` is given. */
  delayMinMs: number;
  delayMaxMs: number;
  logNormal?: LogNormal | undefined;
}

/** A quiet local network. */
export const NO_FAULTS: Readonly<NetworkFaults> = {
  dropRate: 0,
  duplicateRate: 0,
  reorderRate: 0,
  reorderMs: 0,
  delayMinMs: 0.2,
  delayMaxMs: 1,
};

/**
 * Datagrams and request–response streams between addresses, in virtual or in real time, with faults by name:
 * drop, duplicate, reorder, delay, loss into or out of one address, one-way cut, isolation, split.
 *
 * Cuts act when a datagram is sent and again when it arrives, and on each leg of a stream. Datagrams to
 * a closed address vanish; streams to one fail after one round trip (refused).
 *
 * A stream is TCP: handshake, request and answer are each one leg that is sent again when lost, after
 * 1 s (handshake) or 200 ms (data), doubling, until it arrives or the stream's time is up. Of a long
 * leg the segments lost are sent again together.
 */
export class Network {
  faults: NetworkFaults;
  readonly counters = {
    sent: 0,
    delivered: 0,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
    cut: 0,
    bytes: 0,
    streams: 0,
    streamBytes: 0,
  };
  readonly #scheduler: TimeSource;
  readonly #prng: Prng;
  readonly #ports = new Map<string, TransportHandlers>();
  readonly #cuts = new Set<string>();
  readonly #isolated = new Set<string>();
  readonly #lossInto = new Map<string, number>();
  readonly #lossOutOf = new Map<string, number>();
  #groupOf = new Map<string, number>();
  #datagramsPass = true;
  readonly #rejecting = new Set<string>();
  readonly #underWayMax: number;
  #underWay = 0;

  constructor(options: {
    readonly scheduler: TimeSource;
    readonly prng: Prng;
    readonly faults?: Partial<NetworkFaults>;
    /** Datagrams and streams under way at once; what comes then fails as if lost. No bound by default. */
    readonly underWayMax?: number;
  }) {
    this.#scheduler = options.scheduler;
    this.#prng = options.prng;
    this.faults = { ...NO_FAULTS, ...options.faults };
    this.#underWayMax = options.underWayMax ?? Number.POSITIVE_INFINITY;
  }

  isTaken(address: string): boolean {
    return this.#ports.has(address);
  }

  /** Opens a transport at `listen`, which is taken as it is. @throws Error if it is in use */
  open(options: TransportOptions): Transport {
    return new SimTransport(this, this.#scheduler, options);
  }

  attach(address: string, port: TransportHandlers): void {
    if (this.#ports.has(address)) throw new Error(`${address} is in use`);
    this.#ports.set(address, port);
  }

  detach(address: string): void {
    this.#ports.delete(address);
  }

  /** Cuts one direction. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  /** Cuts everything to and from one address. */
  isolate(address: string): void {
    this.#isolated.add(address);
  }

  rejoin(address: string): void {
    this.#isolated.delete(address);
  }

  /** Loses this share of what one address is sent (`into`) and sends (`outOf`), beside `dropRate`. */
  lose(address: string, { into = 0, outOf = 0 }: { into?: number; outOf?: number }): void {
    set(this.#lossInto, address, into);
    set(this.#lossOutOf, address, outOf);
  }

  /** Whether datagrams pass at all, as a firewall may decide: streams do. */
  passDatagrams(pass: boolean): void {
    this.#datagramsPass = pass;
  }

  /** Whether a firewall in front of this address rejects streams to it: as if no process listened. */
  rejectStreams(address: string, rejects: boolean): void {
    if (rejects) this.#rejecting.add(address);
    else this.#rejecting.delete(address);
  }

  /** Lets only addresses of one group reach each other; addresses in no group form one more. */
  split(groups: readonly (readonly string[])[]): void {
    this.#groupOf = new Map();
    groups.forEach((group, index) => {
      for (const address of group) this.#groupOf.set(address, index);
    });
  }

  /** Ends every cut, isolation, split and loss of one address; the rates of `faults` stay. */
  heal(): void {
    this.#cuts.clear();
    this.#isolated.clear();
    this.#lossInto.clear();
    this.#lossOutOf.clear();
    this.#groupOf.clear();
    this.#datagramsPass = true;
    this.#rejecting.clear();
  }

  reachable(from: string, to: string): boolean {
    if (this.#isolated.size > 0 && (this.#isolated.has(from) || this.#isolated.has(to)))
      return false;
    if (this.#groupOf.size > 0 && this.#groupOf.get(from) !== this.#groupOf.get(to)) return false;
    return this.#cuts.size === 0 || !this.#cuts.has(`${from} ${to}`);
  }

  /** @returns false if too much is under way */
  send(from: string, to: string, bytes: Uint8Array): boolean {
    if (this.#underWay >= this.#underWayMax) return false;
    const { faults, counters } = this;
    const prng = this.#prng;
    counters.sent++;
    counters.bytes += bytes.length;
    // Every draw is made every time, so that a rate of one fault does not shift another's.
    const drop = prng.chance(this.#lossRate(from, to));
    const duplicate = prng.chance(faults.duplicateRate);
    const reorder = prng.chance(faults.reorderRate);
    let delayMs = this.#delayMs();
    if (reorder) {
      counters.reordered++;
      delayMs += prng.next() * faults.reorderMs;
    }
    if (!this.#datagramsPass || !this.reachable(from, to)) {
      counters.cut++;
      return true;
    }
    if (drop) {
      counters.dropped++;
      return true;
    }
    this.#deliver(from, to, bytes.slice(), delayMs);
    if (duplicate) {
      counters.duplicated++;
      this.#deliver(from, to, bytes.slice(), delayMs + this.#delayMs());
    }
    return true;
  }

  /** One stream: request there, answer back. `done` runs exactly once, with null on failure. */
  request(from: string, to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    if (this.#underWay >= this.#underWayMax) {
      this.#scheduler.after(0, () => done(null));
      return;
    }
    const copy = bytes.slice();
    this.counters.streams++;
    this.#underWay++;
    let open = true;
    const isOpen = (): boolean => open;
    const finish: RequestDone = (answer, why) => {
      if (!open) return;
      open = false;
      this.#underWay--;
      this.#scheduler.cancel(timer);
      done(answer, why);
    };
    const timer = this.#scheduler.after(timeoutMs, () => finish(null));
    let replied = false;
    const answer = (response: Uint8Array | null): void => {
      if (replied) return;
      replied = true;
      const back = response?.slice() ?? null;
      this.#leg(to, from, back?.length ?? 0, DATA_RTO_MS, isOpen, () => finish(back));
    };
    const ask = (): void => this.#ports.get(to)?.onRequest(from, copy, answer);
    const refuse = (): void =>
      this.#leg(to, from, 0, SYN_RTO_MS, isOpen, () => finish(null, 'refused'));
    const accept = (): void =>
      this.#leg(to, from, 0, SYN_RTO_MS, isOpen, () =>
        this.#leg(from, to, bytes.length, DATA_RTO_MS, isOpen, ask),
      );
    this.#leg(from, to, 0, SYN_RTO_MS, isOpen, () => {
      if (this.#ports.has(to) && !this.#rejecting.has(to)) accept();
      else refuse();
    });
  }

  /** One direction of a stream: what is lost is sent again, later and later, while it is open. */
  #leg(
    from: string,
    to: string,
    bytes: number,
    retryMs: number,
    isOpen: () => boolean,
    arrived: () => void,
  ): void {
    this.counters.streamBytes += bytes;
    const segments = Math.max(1, Math.ceil(bytes / SEGMENT_BYTES));
    const attempt = (left: number, afterMs: number): void => {
      if (!isOpen()) return;
      const lost = this.reachable(from, to) ? this.#lostOf(left, this.#lossRate(from, to)) : left;
      if (lost > 0) this.#scheduler.after(afterMs, () => attempt(lost, afterMs * 2));
      else this.#scheduler.after(this.#delayMs(), () => isOpen() && arrived());
    };
    attempt(segments, retryMs);
  }

  #lostOf(segments: number, rate: number): number {
    if (rate === 0) return 0;
    let lost = 0;
    for (let n = 0; n < segments; n++) if (this.#prng.chance(rate)) lost++;
    return lost;
  }

  #deliver(from: string, to: string, bytes: Uint8Array, delayMs: number): void {
    this.#underWay++;
    this.#scheduler.after(delayMs, () => {
      this.#underWay--;
      const port = this.#ports.get(to);
      if (port === undefined || !this.reachable(from, to)) return;
      this.counters.delivered++;
      port.onPacket(from, bytes);
    });
  }

  #lossRate(from: string, to: string): number {
    const { dropRate } = this.faults;
    if (this.#lossInto.size === 0 && this.#lossOutOf.size === 0) return dropRate;
    const kept =
      (1 - dropRate) * (1 - (this.#lossInto.get(to) ?? 0)) * (1 - (this.#lossOutOf.get(from) ?? 0));
    return 1 - kept;
  }

  #delayMs(): number {
    const { delayMinMs, delayMaxMs, logNormal } = this.faults;
    if (logNormal !== undefined) {
      return logNormal.medianMs * Math.exp(logNormal.sigma * normal(this.#prng));
    }
    return this.#prng.between(delayMinMs, delayMaxMs);
  }
}

function set(rates: Map<string, number>, address: string, rate: number): void {
  if (rate > 0) rates.set(address, rate);
  else rates.delete(address);
}

/** A normal deviate (Box–Muller). */
function normal(prng: Prng): number {
  return Math.sqrt(-2 * Math.log(1 - prng.next())) * Math.cos(2 * Math.PI * prng.next());
}
