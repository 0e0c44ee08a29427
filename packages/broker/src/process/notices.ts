import type { SwimErrorCode } from '@shoal/swim';
import { BrokerError } from '../errors.ts';
import type { Log } from '../ports.ts';

/** How long a node waits after a notice that its name is taken: longer than failure detection takes. */
const NAME_PATIENCE_MS = 12_000;

export interface NoticesOptions {
  /** Addresses and ways by which this node looks for members. */
  readonly told: readonly string[];
  readonly isReady: () => boolean;
  readonly fatal: (error: BrokerError) => void;
  readonly log: Log;
}

/** What membership notices of this node's own place in it, as log lines and ends of the process. */
export class Notices {
  readonly #options: NoticesOptions;
  /** When this node was first told that a live member has its name. */
  #nameTakenMs: number | undefined;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  on(code: SwimErrorCode, address: string, nowMs: number): void {
    const { told, isReady, fatal, log } = this.#options;
    if (code === 'SWIM_ERR_OTHER_CLUSTER') {
      log('error', 'a node of another cluster answers at this address', { code, address });
      if (!isReady() && told.includes(address))
        fatal(new BrokerError('BROKER_ERR_JOIN_OTHER_CLUSTER', address));
    } else if (code === 'SWIM_ERR_NAME_CONFLICT') {
      fatal(new BrokerError('BROKER_ERR_NODE_NAME_TAKEN', address));
    } else if (code === 'SWIM_ERR_NAME_TAKEN') {
      this.#onNameTaken(address, nowMs);
    } else if (code === 'SWIM_ERR_INCARNATION') {
      // Its next start has a higher boot epoch, so members believe that one.
      const why = 'this member cannot refute any more: its incarnation is at its maximum';
      fatal(new BrokerError('BROKER_ERR_INTERNAL', why));
    }
  }

  /** A node that moved waits until its former life is known to be over; another one waits for nothing. */
  #onNameTaken(address: string, nowMs: number): void {
    const { fatal, log } = this.#options;
    this.#nameTakenMs ??= nowMs;
    log('warn', 'node name is taken by a live member', { reportedBy: address });
    if (nowMs - this.#nameTakenMs < NAME_PATIENCE_MS) return;
    fatal(new BrokerError('BROKER_ERR_NODE_NAME_TAKEN', address));
  }
}
