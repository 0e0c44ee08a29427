/** The listeners of a configuration: the long form and the short one as one list. */
import { isOffLoopback } from './address.ts';
import {
  type ListenerConfig,
  type ListenerFields,
  listenerFields,
  readListen,
} from './config-listener.ts';
import { offerProblems } from './config-listener-offer.ts';
import { label } from './config-types.ts';

/** Listeners of a node for MQTT clients; a configuration with more is refused. */
export const LISTENERS_MAX = 16;

/** One entry of `mqtt.listeners`. */
export const listener = () => listenerFields({ name: label() });

/** How an entry of `mqtt.listeners` is written: for errors and the reference. */
export const LISTENER_EXAMPLE = '{ name: local, transport: tcp, address: "127.0.0.1:1883" }';

/** A listener, the key under which its address was given, and the text of its short form. */
export interface PlacedListener extends ListenerConfig {
  readonly dotted: string;
  readonly text?: string;
}

/**
 * Every listener, the first one being what this member tells others.
 *
 * @param isGiven whether a key was given in words: the default of `mqtt.listen` is for a node that was told
 *   of no listener
 */
export function placeListeners(
  mqtt: {
    readonly listeners?: readonly (ListenerFields & { readonly name: string })[] | undefined;
    readonly listen: readonly string[];
  },
  isGiven: (key: string) => boolean,
): readonly PlacedListener[] {
  const long = (mqtt.listeners ?? []).map((listener, i) => ({
    ...completed(listener),
    dotted: `mqtt.listeners[${i}].address`,
  }));
  if (long.length > 0 && !isGiven('mqtt.listen')) return long;
  const short = mqtt.listen.flatMap((text, i) => {
    const fields = readListen(text);
    if ('problem' in fields) return [];
    const name = `${fields.transport}-${i + 1}`;
    return [{ ...completed({ ...fields, name }), dotted: `mqtt.listen[${i}]`, text }];
  });
  return [...long, ...short];
}

/** With what its transport has by default. */
function completed(given: ListenerFields & { readonly name: string }): ListenerConfig {
  const { name, transport, address } = given;
  const isTls = transport === 'tls' || transport === 'wss';
  const isWeb = transport === 'ws' || transport === 'wss';
  return {
    name,
    transport,
    address,
    ...(isWeb ? { path: '/mqtt', origins: [] } : {}),
    ...(isTls ? { clientCertificate: 'none', minVersion: 'TLSv1.2' } : {}),
    ...(transport === 'unix' ? { mode: '660' } : {}),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
}

/** The listener as it is in a {@link Config}. */
export function unplaced({ dotted, text, ...listener }: PlacedListener): ListenerConfig {
  return listener;
}

/** The texts of `mqtt.listen`: none where its default is not used. */
export function shortForm(listeners: readonly PlacedListener[]): string[] {
  return listeners.flatMap(({ text }) => text ?? []);
}

export interface ListenerProblem {
  readonly code: 'BROKER_ERR_CONFIG_CONFLICT' | 'BROKER_ERR_ADDRESS_NOT_LOOPBACK';
  readonly key: string;
  readonly value: unknown;
  readonly text: string;
}

/** What is wrong with the list as a whole: no listener, names that are not unique, addresses off loopback,
 *  offers beyond those of the node, no version of MQTT that the node speaks. */
export function listenerProblems(
  listeners: readonly PlacedListener[],
  node: {
    readonly limits: { readonly maxPacketBytes: number };
    readonly mqtt: { readonly protocolVersions: readonly (string | number)[] };
    readonly auth: { readonly required: boolean; readonly insecure: boolean };
  },
): ListenerProblem[] {
  const packetBytesMax = node.limits.maxPacketBytes;
  const offLoopback = node.auth.required || node.auth.insecure;
  const problems: ListenerProblem[] = [];
  if (listeners.length === 0) {
    const text = 'a node needs a listener: give an address, or `mqtt.listeners`';
    problems.push({ code: 'BROKER_ERR_CONFIG_CONFLICT', key: 'mqtt.listen', value: [], text });
  }
  const named = new Map<string, string>();
  // YAML reads versions without quotes as numbers, and 5.0 is 5.
  const spoken = new Set(
    node.mqtt.protocolVersions.map((name) => String(name).replace(/^5\.0$/, '5')),
  );
  for (const each of listeners) {
    const { name, transport, address, maxPacketBytes = 0, protocolVersions, dotted: key } = each;
    const other = named.get(name);
    named.set(name, other ?? key);
    if (other !== undefined) {
      const text = `is the name of ${other.replace('.address', '')} too: give each listener a name of its own`;
      const nameKey = key.replace('.address', '.name');
      problems.push({ code: 'BROKER_ERR_CONFIG_CONFLICT', key: nameKey, value: name, text });
    }
    if (maxPacketBytes > packetBytesMax) {
      const text = `must be at most limits.maxPacketBytes (${packetBytesMax})`;
      const fieldKey = key.replace('.address', '.maxPacketBytes');
      const code = 'BROKER_ERR_CONFIG_CONFLICT';
      problems.push({ code, key: fieldKey, value: maxPacketBytes, text });
    }
    for (const [field, value, text] of offerProblems(each, node)) {
      const code = 'BROKER_ERR_CONFIG_CONFLICT';
      problems.push({ code, key: key.replace('.address', `.${field}`), value, text });
    }
    if (protocolVersions && !protocolVersions.some((name) => spoken.has(name))) {
      const text = `has none of mqtt.protocolVersions (${[...spoken].join(', ')}): no client could connect`;
      const fieldKey = key.replace('.address', '.protocolVersions');
      const code = 'BROKER_ERR_CONFIG_CONFLICT';
      problems.push({ code, key: fieldKey, value: protocolVersions, text });
    }
    if (transport !== 'unix' && !offLoopback && isOffLoopback(address)) {
      const text = MQTT_RULE;
      problems.push({ code: 'BROKER_ERR_ADDRESS_NOT_LOOPBACK', key, value: address, text });
    }
  }
  return problems;
}

/** The rules that an address off loopback breaks, for error messages. */
export const LOOPBACK_RULE = 'must be 127.0.0.1, [::1] or localhost';
const MQTT_RULE =
  'must be 127.0.0.1, [::1] or localhost unless clients are asked who they are (auth.required, --auth-required), or everybody may come (auth.insecure, --insecure)';
