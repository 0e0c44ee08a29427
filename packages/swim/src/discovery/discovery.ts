import type { Transport } from '../transport.ts';
import type { Hello } from './hello.ts';

/** A way to find nodes to join through. */
export interface Discovery {
  /** What it was made from, for the log: `dns:swim.example:7946`. */
  readonly describes: string;
  /** Opens what it needs. @throws the system's error; nothing stays open */
  open(host: DiscoveryHost): Promise<Finder>;
}

/** An open {@link Discovery}. */
export interface Finder {
  /**
   * One round: `found` is called for every seed, host:port, as soon as it is known. Resolves when all
   * were asked and had time to answer, or at once when `signal` aborts.
   *
   * @throws the error that kept it from asking; seeds found before it still count
   */
  search(found: (seed: string) => void, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What an agent offers to its discoveries. */
export interface DiscoveryHost {
  /** host:port told to the peers. */
  readonly address: string;
  /** The agent's own network; what goes over it is sealed if the agent has a key. */
  readonly transport: Pick<Transport, 'address' | 'send' | 'request'>;
  /** Members present, this one included. */
  presentCount(): number;
  /** Questions and answers, over the agent's network or a socket of the discovery's own. */
  readonly hello: Hello;
  /** For a socket of the discovery's own. */
  readonly wrap: HelloWrap;
}

/** Seals questions and answers with the agent's key; without one they pass as they are. */
export interface HelloWrap {
  /** Adds the same number of bytes to each. */
  wrap(hello: Uint8Array): Uint8Array;
  /** Undefined if the bytes are not sealed with a key of ours. `from` is host:port, for the log. */
  unwrap(from: string, bytes: Uint8Array): Uint8Array | undefined;
}

/** Seeds that one discovery may name; further ones are left out. */
export const FOUND_MAX = 256;
