import type { SwimHandle } from '@shoal/swim';
import type { Config } from '../../config.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import { whyUnreachable } from './reach.ts';

/** Between two lines about what the node waits for. */
const TELL_EVERY_MS = 10_000;
/** Addresses named in one round. */
const NAMED_MAX = 16;

export interface JoinWatchOptions {
  /** Cluster addresses that the node was told to join. */
  readonly addresses: readonly string[];
  readonly discovery: readonly string[];
  /** The node is a member and knows its cluster. */
  readonly hasJoined: () => boolean;
  /** Exchanges membership with the node at an address. Rejects with why that failed. */
  readonly join: (address: string) => Promise<void>;
  /** Why a connection to an address fails; '' where one succeeds. */
  readonly whyUnreachable: (address: string) => Promise<string>;
  readonly log: Log;
}

/**
 * A node that waits to join logs it every ten seconds, with each address and why that address does not help: an
 * operator who mistyped one sees nothing else.
 */
export class JoinWatch {
  readonly #options: JoinWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #asking = false;

  constructor(options: JoinWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.tell(), TELL_EVERY_MS);
    this.#timer.unref();
  }

  /** One round; resolves when it is said. @internal */
  async tell(): Promise<void> {
    const { addresses, discovery, hasJoined, join, whyUnreachable, log } = this.#options;
    if (hasJoined()) return this.close();
    if (this.#asking) return;
    this.#asking = true;
    const named = addresses.slice(0, NAMED_MAX);
    const whys = await Promise.all(
      named.map((address) =>
        join(address).then(
          () => 'answers, but has no link yet',
          async (error: unknown) =>
            (await whyUnreachable(address)) ||
            (error instanceof Error ? error.message : String(error)),
        ),
      ),
    );
    this.#asking = false;
    if (hasJoined()) return this.close();
    const tried = Object.fromEntries(named.map((address, i) => [address, whys[i]]));
    log('warn', 'waits to join a cluster', {
      ...(addresses.length > 0 ? { tried } : {}),
      ...(discovery.length > 0 ? { discovery: `no member found by ${discovery.join(', ')}` } : {}),
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Watches a node that has not joined yet, until the function returned is called. */
export function watchJoin(
  { join: addresses, discovery }: Config['cluster'],
  core: Pick<NodeCore, 'shardCount'>,
  membership: () => Pick<SwimHandle, 'join'> | null,
  log: Log,
): () => void {
  const hasJoined = () => core.shardCount > 0;
  if (hasJoined()) return () => {};
  const join = async (address: string) => await membership()?.join(address);
  const watch = new JoinWatch({ addresses, discovery, hasJoined, join, whyUnreachable, log });
  return () => watch.close();
}
