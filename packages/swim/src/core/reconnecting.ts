import type { Context } from './context.ts';
import type { Parts } from './parts.ts';
import type { Prober } from './probe.ts';
import type { Sync } from './sync.ts';
import type { Timers } from './timers.ts';

/** Members that try lost ones once per reconnectIntervalMs; more of them take turns. */
const RECONNECTING = 16;
/** Lost members probed each time: by one that is alone, and by others. */
const LOST_ALONE = 3;
const LOST = 1;

/**
 * Tries again what is lost, at a bounded rate: seeds while no other member is known, and lost members
 * always, so that the halves of a healed split find each other without a human.
 */
export class Reconnecting {
  readonly #context: Context;
  readonly #timers: Timers;
  readonly #prober: Prober;
  readonly #sync: Sync;
  #lonelyTicks = 0;

  constructor({ context, timers }: Parts, prober: Prober, sync: Sync) {
    this.#context = context;
    this.#timers = timers;
    this.#prober = prober;
    this.#sync = sync;
  }

  onTimer(): void {
    const { members, clusterId, switches } = this.#context;
    const alone = members.peerCount() === 0;
    this.#lonelyTicks = alone ? this.#lonelyTicks + 1 : 0;
    if (alone) this.#sync.trySeeds();
    if (clusterId !== '' && switches.probesLost) {
      for (let n = 0; n < (alone ? LOST_ALONE : LOST); n++) {
        const record = members.nextLost();
        if (record !== undefined) this.#prober.begin(record, 'faulty');
      }
    }
    this.arm();
  }

  /**
   * Quicker at first: nodes that start together wait for each other. Slower in large clusters, where
   * many try: a crash must not add to the load for as long as it is remembered.
   */
  arm(): void {
    const { config, members } = this.#context;
    const { reconnectIntervalMs } = config;
    const firstMs = (reconnectIntervalMs / 8) * 2 ** Math.min(this.#lonelyTicks, 3);
    const alone = members.peerCount() === 0;
    const share = Math.max(1, members.presentCount() / RECONNECTING);
    const intervalMs = alone ? Math.min(firstMs, reconnectIntervalMs) : reconnectIntervalMs * share;
    this.#timers.arm({ kind: 'reconnect' }, intervalMs);
  }
}
