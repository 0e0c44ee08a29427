/** What a process shows of a node that it runs. */
import type { BrokerError } from '../errors.ts';

/** What a node tells once it serves. */
export interface ReadyReport {
  readonly node: string;
  readonly pid: number;
  /** Address of the first listener of transport `tcp`; where there is none, of the first listener. */
  readonly mqtt: string;
  /** All of them, as bound. */
  readonly listeners: readonly {
    readonly name: string;
    readonly transport: string;
    /** HOST:PORT; of transport `unix`, the path of the socket. */
    readonly address: string;
    /** Path of the URL, of transports `ws` and `wss`. */
    readonly path?: string | undefined;
  }[];
  readonly cluster: string;
  readonly admin: string;
}

export interface NodeHooks {
  /** An error after which the process must end. */
  onFatal(error: BrokerError): void;
  /** The node was removed from its cluster and has closed: the process may end, with success. */
  onLeft?(): void;
}

/** Options of one start; a later start does not have them. */
export interface StartOptions {
  /** Go on with what is left of the shards of which this node has the only copy. */
  readonly acceptLoss?: boolean;
}

export interface RunningNode {
  readonly ready: Promise<ReadyReport>;
  /** Reads the certificates of the listeners again, for connections to come. Never fails. */
  reload(): Promise<void>;
  /** Drains and closes; resolves when nothing is left open. */
  stop(): Promise<void>;
}
