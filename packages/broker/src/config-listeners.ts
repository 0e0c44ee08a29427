/** The listeners of a configuration: the long form and the short one as one list. */
import { z } from 'zod';
import { isOffLoopback } from './address.ts';
import { label, listenAddress } from './config-types.ts';

/** Ways by which clients may come. */
const TRANSPORTS = ['tcp'] as const;
/** Listeners of a node for MQTT clients; a configuration with more is refused. */
export const LISTENERS_MAX = 16;

/** One entry of `mqtt.listeners`. */
export const listener = () =>
  z.strictObject({
    name: label(),
    transport: z.enum(TRANSPORTS).default('tcp'),
    address: listenAddress(),
  });

/** How an entry of `mqtt.listeners` is written: for errors and the reference. */
export const LISTENER_EXAMPLE = '{ name: local, transport: tcp, address: "127.0.0.1:1883" }';

/** Where clients connect. */
export interface ListenerConfig {
  /** Unique within a node. */
  readonly name: string;
  readonly transport: 'tcp';
  /** HOST:PORT. */
  readonly address: string;
}

/** A listener, and the key under which its address was given. */
export interface PlacedListener extends ListenerConfig {
  readonly key: string;
}

/**
 * Every listener, the first one being what this member tells others.
 *
 * @param isGiven whether a key was given in words: the default of `mqtt.listen` is for a node that was told
 *   of no listener
 */
export function placeListeners(
  mqtt: {
    readonly listeners?: readonly ListenerConfig[] | undefined;
    readonly listen: readonly string[];
  },
  isGiven: (key: string) => boolean,
): readonly PlacedListener[] {
  const long = (mqtt.listeners ?? []).map((listener, i) => ({
    ...listener,
    key: `mqtt.listeners[${i}].address`,
  }));
  if (long.length > 0 && !isGiven('mqtt.listen')) return long;
  const short = mqtt.listen.map((address, i) => ({
    name: `tcp-${i + 1}`,
    transport: 'tcp' as const,
    address,
    key: `mqtt.listen[${i}]`,
  }));
  return [...long, ...short];
}

/** The addresses that `mqtt.listen` adds: none where its default is not used. */
export function shortForm(listeners: readonly PlacedListener[]): string[] {
  return listeners
    .filter(({ key }) => key.startsWith('mqtt.listen['))
    .map(({ address }) => address);
}

export interface ListenerProblem {
  readonly code: 'BROKER_ERR_CONFIG_CONFLICT' | 'BROKER_ERR_ADDRESS_NOT_LOOPBACK';
  readonly key: string;
  readonly value: unknown;
  readonly text: string;
}

/** What is wrong with the list as a whole: no listener, names that are not unique, addresses off loopback. */
export function listenerProblems(listeners: readonly PlacedListener[]): ListenerProblem[] {
  const problems: ListenerProblem[] = [];
  if (listeners.length === 0) {
    const text = 'a node needs a listener: give an address, or `mqtt.listeners`';
    problems.push({ code: 'BROKER_ERR_CONFIG_CONFLICT', key: 'mqtt.listen', value: [], text });
  }
  const named = new Map<string, string>();
  for (const { name, address, key } of listeners) {
    const other = named.get(name);
    named.set(name, other ?? key);
    if (other !== undefined) {
      const text = `is the name of ${other.replace('.address', '')} too: give each listener a name of its own`;
      const nameKey = key.replace('.address', '.name');
      problems.push({ code: 'BROKER_ERR_CONFIG_CONFLICT', key: nameKey, value: name, text });
    }
    if (isOffLoopback(address)) {
      const text = LOOPBACK_RULE;
      problems.push({ code: 'BROKER_ERR_ADDRESS_NOT_LOOPBACK', key, value: address, text });
    }
  }
  return problems;
}

/** The rule that an address off loopback breaks, for error messages. */
export const LOOPBACK_RULE = 'must be 127.0.0.1, [::1] or localhost until Shoal has authentication';
