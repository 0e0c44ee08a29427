/** Flags of `shoal start` and `shoal config …`, and how they become a configuration. */

import { Flags } from '@oclif/core';
import type { Config, ResolvedConfig } from '@shoal/broker';

export const configFlags = {
  config: Flags.string({
    description: 'Configuration file (YAML).',
    helpValue: 'FILE',
    helpGroup: 'CONFIGURATION',
  }),
  set: Flags.string({
    description: 'Any key of the configuration; may repeat. See `shoal config reference`.',
    helpValue: 'KEY=VALUE',
    helpGroup: 'CONFIGURATION',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'node-name': Flags.string({
    description: 'Name of the node, unique in its cluster and kept for life. [required]',
    helpValue: 'NAME',
  }),
  'data-dir': Flags.string({
    description: 'Data folder; made when absent, locked while the node runs. [required]',
    helpValue: 'DIR',
  }),
  'mqtt-listen': Flags.string({
    description:
      'Address for MQTT clients: HOST:PORT, tls://:8883?cert=FILE&key=FILE, ws://:8080/mqtt, wss://… or unix:///PATH; may repeat. Off loopback only with --auth-required or --insecure. Port 0 takes a free one. See mqtt.listeners in the reference for all fields.',
    helpValue: 'ADDRESS',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'auth-required': Flags.boolean({
    description: 'Clients have to give the name and password of a user (shoal user add).',
  }),
  insecure: Flags.boolean({
    description:
      'Listen off loopback without asking clients who they are: everybody who reaches the address may read and write every message.',
  }),
  'mqtt-advertise': Flags.string({
    description: 'Address that MQTT clients are referred to.',
    helpValue: 'HOST:PORT',
  }),
  'cluster-listen': Flags.string({
    description: 'Address for other nodes (UDP and TCP).',
    helpValue: 'HOST:PORT',
  }),
  advertise: Flags.string({
    description: 'Address at which other nodes reach this one.',
    helpValue: 'HOST:PORT',
  }),
  keyring: Flags.string({
    description: 'Keyring that encrypts what nodes say to each other (shoal keyring generate).',
    helpValue: 'FILE',
  }),
  'admin-listen': Flags.string({
    description: 'Address of the admin API; loopback only.',
    helpValue: 'HOST:PORT',
  }),
  join: Flags.string({
    description:
      'Cluster address of a node to join; may repeat. Without it and --discover an empty data folder founds a cluster.',
    helpValue: 'HOST:PORT',
    multiple: true,
    multipleNonGreedy: true,
  }),
  discover: Flags.string({
    description:
      'Way to find nodes to join; may repeat: dns:NAME:PORT, srv:NAME, multicast:GROUP:PORT, range:10.0.0.0/24:PORT, range+tcp:….',
    helpValue: 'WAY',
    multiple: true,
    multipleNonGreedy: true,
  }),
  replicas: Flags.string({ description: 'Copies of every session (default 3).', helpValue: 'N' }),
  zone: Flags.string({ description: 'Zone; copies spread over zones.', helpValue: 'Z' }),
  host: Flags.string({
    description: 'Host; one host never holds two copies (default: the node name).',
    helpValue: 'H',
  }),
  durability: Flags.string({
    description: 'Acknowledge once synced to disk, or once in memory, on every copy.',
    helpValue: 'disk|memory',
  }),
};

export type ConfigFlags = {
  readonly config?: string | undefined;
  readonly set?: readonly string[] | undefined;
} & { readonly [flag: string]: string | readonly string[] | boolean | undefined };

/** Flag → dotted key. A test compares it with the schema. */
export const KEY_OF_FLAG: Readonly<Record<string, string>> = {
  'node-name': 'node.name',
  'data-dir': 'data.dir',
  'mqtt-listen': 'mqtt.listen',
  'auth-required': 'auth.required',
  insecure: 'auth.insecure',
  'mqtt-advertise': 'mqtt.advertise',
  'cluster-listen': 'cluster.listen',
  advertise: 'cluster.advertise',
  keyring: 'cluster.keyringFile',
  'admin-listen': 'admin.listen',
  join: 'cluster.join',
  discover: 'cluster.discovery',
  replicas: 'cluster.replicas',
  zone: 'node.zone',
  host: 'node.host',
  durability: 'data.durability',
};

/**
 * Reads the file that `--config` names and resolves all of it.
 *
 * @throws BROKER_ERR_CONFIG_*
 */
export async function readConfigWithOrigins(flags: ConfigFlags): Promise<ResolvedConfig> {
  const { BrokerError } = await import('@shoal/broker/errors');
  const { resolveConfigWithOrigins } = await import('@shoal/broker/config');
  const values: Record<string, string | readonly string[]> = {};
  for (const [flag, key] of Object.entries(KEY_OF_FLAG)) {
    const value = flags[flag];
    if (value === true) values[key] = 'true';
    else if (typeof value === 'string' || Array.isArray(value)) values[key] = value;
  }
  for (const setting of flags.set ?? []) {
    const equals = setting.indexOf('=');
    const key = setting.slice(0, Math.max(0, equals));
    if (key === '') {
      throw new BrokerError('BROKER_ERR_CONFIG_VALUE', `--set ${setting} must be KEY=VALUE`);
    }
    if (Object.hasOwn(values, key)) {
      throw new BrokerError('BROKER_ERR_CONFIG_CONFLICT', `${key} is given by two flags`);
    }
    values[key] = setting.slice(equals + 1);
  }
  const fileName = flags.config;
  let file: string | undefined;
  if (fileName !== undefined) {
    const { readFile } = await import('node:fs/promises');
    try {
      file = await readFile(fileName, 'utf8');
    } catch (error) {
      const why = (error as { code?: unknown }).code;
      throw new BrokerError('BROKER_ERR_CONFIG_FILE', `${fileName} (${String(why)})`, {
        cause: error,
      });
    }
  }
  return resolveConfigWithOrigins({ file, fileName, env: process.env, flags: values });
}

/** As {@link readConfigWithOrigins}, without the origins. */
export async function readConfig(flags: ConfigFlags): Promise<Config> {
  return (await readConfigWithOrigins(flags)).config;
}
