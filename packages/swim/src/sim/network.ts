import type { Transport, TransportHandlers, TransportOptions } from '../transport.ts';
import type { Prng } from './prng.ts';
import type { Scheduler } from './scheduler.ts';
import { SimTransport } from './sim-transport.ts';

/** What the network does to datagrams; each is drawn apart. Streams only take the delay. */
export interface NetworkFaults {
  /** Probability that a datagram is lost. */
  dropRate: number;
  /** Probability that it comes twice. */
  duplicateRate: number;
  /** Probability that it is held back by up to reorderMs more, so that later ones overtake it. */
  reorderRate: number;
  reorderMs: number;
  delayMinMs: number;
  delayMaxMs: number;
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
 * Datagrams and request–response streams between addresses, in virtual time, with faults by name:
 * drop, duplicate, reorder, delay, one-way cut, isolation, split.
 *
 * Cuts act when something is sent and again when it arrives. Datagrams to nobody vanish; streams to
 * nobody fail after one delay (refused), streams cut on the way after their timeout.
 */
export class Network {
  faults: NetworkFaults;
  readonly counters = { sent: 0, delivered: 0, dropped: 0, duplicated: 0, reordered: 0, cut: 0 };
  private readonly scheduler: Scheduler;
  private readonly prng: Prng;
  private readonly ports = new Map<string, TransportHandlers>();
  private readonly cuts = new Set<string>();
  private readonly isolated = new Set<string>();
  private groupOf = new Map<string, number>();

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly prng: Prng;
    readonly faults?: Partial<NetworkFaults>;
  }) {
    this.scheduler = options.scheduler;
    this.prng = options.prng;
    this.faults = { ...NO_FAULTS, ...options.faults };
  }

  /** Opens a transport at `listen`, which is taken as it is. @throws Error if it is in use */
  open(options: TransportOptions): Transport {
    return new SimTransport(this, this.scheduler, options);
  }

  attach(address: string, port: TransportHandlers): void {
    if (this.ports.has(address)) throw new Error(`${address} is in use`);
    this.ports.set(address, port);
  }

  detach(address: string): void {
    this.ports.delete(address);
  }

  /** Cuts one direction. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from} ${to}`);
  }

  /** Cuts everything to and from one address. */
  isolate(address: string): void {
    this.isolated.add(address);
  }

  rejoin(address: string): void {
    this.isolated.delete(address);
  }

  /** Lets only addresses of one group reach each other; addresses in no group form one more. */
  split(groups: readonly (readonly string[])[]): void {
    this.groupOf = new Map();
    groups.forEach((group, index) => {
      for (const address of group) this.groupOf.set(address, index);
    });
  }

  /** Ends every cut, isolation and split; the rates of `faults` stay. */
  heal(): void {
    this.cuts.clear();
    this.isolated.clear();
    this.groupOf.clear();
  }

  reachable(from: string, to: string): boolean {
    if (this.isolated.has(from) || this.isolated.has(to)) return false;
    if (this.groupOf.get(from) !== this.groupOf.get(to)) return false;
    return !this.cuts.has(`${from} ${to}`);
  }

  send(from: string, to: string, bytes: Uint8Array): void {
    const { faults, prng, counters } = this;
    counters.sent += 1;
    // Every draw is made every time, so that a rate of one fault does not shift another's.
    const drop = prng.chance(faults.dropRate);
    const duplicate = prng.chance(faults.duplicateRate);
    const reorder = prng.chance(faults.reorderRate);
    let delayMs = this.delayMs();
    if (reorder) {
      counters.reordered += 1;
      delayMs += prng.next() * faults.reorderMs;
    }
    if (!this.reachable(from, to)) {
      counters.cut += 1;
      return;
    }
    if (drop) {
      counters.dropped += 1;
      return;
    }
    this.deliver(from, to, bytes.slice(), delayMs);
    if (duplicate) {
      counters.duplicated += 1;
      this.deliver(from, to, bytes.slice(), delayMs + this.delayMs());
    }
  }

  /** One stream: request there, answer back. `done` runs exactly once, with null on failure. */
  request(
    from: string,
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
    done: (bytes: Uint8Array | null) => void,
  ): void {
    const copy = bytes.slice();
    let open = true;
    const finish = (answer: Uint8Array | null): void => {
      if (!open) return;
      open = false;
      this.scheduler.cancel(timer);
      done(answer);
    };
    const timer = this.scheduler.after(timeoutMs, () => finish(null));
    this.scheduler.after(this.delayMs(), () => {
      if (!this.reachable(from, to) || !this.reachable(to, from)) return;
      const port = this.ports.get(to);
      if (port === undefined) {
        this.scheduler.after(this.delayMs(), () => finish(null));
        return;
      }
      let replied = false;
      port.onRequest(from, copy, (answer) => {
        if (replied) return;
        replied = true;
        const back = answer?.slice() ?? null;
        this.scheduler.after(this.delayMs(), () => {
          if (this.reachable(to, from)) finish(back);
        });
      });
    });
  }

  private deliver(from: string, to: string, bytes: Uint8Array, delayMs: number): void {
    this.scheduler.after(delayMs, () => {
      const port = this.ports.get(to);
      if (port === undefined || !this.reachable(from, to)) return;
      this.counters.delivered += 1;
      port.onPacket(from, bytes);
    });
  }

  private delayMs(): number {
    const { delayMinMs, delayMaxMs } = this.faults;
    return delayMinMs + this.prng.next() * (delayMaxMs - delayMinMs);
  }
}
