import type { Endpoint } from './wire.ts';

/**
 * An MQTT broker of one or more node processes that the harness starts and kills, and knows nothing
 * else about.
 */
export interface BrokerUnderTest {
  /** Nodes that belong to it now, running or not, in the order in which they joined. */
  readonly names: readonly string[];
  /** Where clients reach a node; stays the same over restarts. */
  endpoint(name: string): Endpoint;
  isUp(name: string): boolean;
  /** Starts or restarts a node on its own data; resolves once it serves clients. */
  start(name: string): Promise<void>;
  /** Signals the node's process at once, before the first await, and resolves once it has ended. */
  kill(name: string, signal: NodeJS.Signals): Promise<void>;
  /** Signals a node's process and does not wait. */
  signal(name: string, signal: NodeJS.Signals): void;
  /** Waits until the broker says that all its copies are in place; false if it did not in time. */
  whole(timeoutMs: number): Promise<boolean>;
  /** What the nodes say of themselves, for messages about what went wrong. */
  describe(): Promise<string>;
  /** Ends every process and removes the data, or with `keep` leaves data and logs behind. */
  stop(keep?: boolean): Promise<void>;
  /** Where data and logs are. */
  readonly folder: string;
}

/** One whose nodes can be added and removed while it serves. */
export interface ElasticBroker extends BrokerUnderTest {
  /** Starts one more node and resolves, with its name, once it serves clients. */
  add(): Promise<string>;
  /** Asks the cluster to let a node go; resolves once it has gone and its process has ended. */
  remove(name: string): Promise<void>;
}

/** What may happen to the folder of a node that is down. */
export const DAMAGES = ['lost', 'restored', 'rotted'] as const;
export type FolderDamage = (typeof DAMAGES)[number];

/** One whose folders can be damaged while their nodes are down. */
export interface DamageableBroker extends BrokerUnderTest {
  /** @returns what was done, in words */
  damage(name: string, how: FolderDamage, random: () => number): string;
  /** Starts a node, and does what its errors say, as an operator would. */
  mend(name: string): Promise<void>;
}

export function isDamageable(broker: BrokerUnderTest): broker is DamageableBroker {
  return 'damage' in broker;
}

export function isElastic(broker: BrokerUnderTest): broker is ElasticBroker {
  return 'add' in broker && 'remove' in broker;
}
