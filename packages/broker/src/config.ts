/**
 * From a file, the environment and flags to one frozen {@link Config}.
 *
 * Pure: the caller reads the file and hands over the environment. Precedence, weakest first:
 * defaults, file, environment, flags. Everything wrong is reported at once, each with its key, its
 * value, where it came from and what to do.
 *
 * @example
 * const config = resolveConfig({ env: process.env, flags: { 'node.name': 'a', 'data.dir': '/var/lib/shoal' } });
 */

import { isWildcard, readAddress, type SwimConfig, SwimError, swimConfig } from '@shoal/swim';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { isOffLoopback } from './address.ts';
import { type GivenSettings, SETTING_KEYS } from './cluster-settings.ts';
import { describeIssue, shownStep } from './config-issues.ts';
import type { ListenerConfig } from './config-listener.ts';
import {
  LISTENER_EXAMPLE,
  LOOPBACK_RULE,
  listenerProblems,
  type PlacedListener,
  placeListeners,
  shortForm,
  unplaced,
} from './config-listeners.ts';
import { type ConfigKey, configSchema, configSections } from './config-schema.ts';
import { nearest, suggestion } from './config-suggest.ts';
import { BrokerError, type BrokerErrorCode } from './errors.ts';

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

type Parsed = z.output<typeof configSchema>;

/** The whole configuration: complete, checked, frozen. */
export type Config = DeepReadonly<
  Omit<Parsed, 'node' | 'mqtt'> & {
    node: Omit<Parsed['node'], 'host'> & { host: string };
    /** `listeners` has those of the short form too, at least one. */
    mqtt: Omit<Parsed['mqtt'], 'listeners'> & { listeners: ListenerConfig[] };
  }
>;

/** A value of a flag: text is read by the key's type, as from the environment. */
export type FlagValue = string | number | readonly string[];

export interface ConfigInput {
  /** Text of the YAML file. */
  readonly file?: string | undefined;
  /** Its name, for messages. */
  readonly fileName?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Dotted key → value, from flags and `--set`. */
  readonly flags: Readonly<Record<string, FlagValue>>;
}

export interface ConfigProblem {
  readonly code: BrokerErrorCode;
  /** Dotted key, with an index for a list's element; '' for the file as a whole. */
  readonly key: string;
  /** The value as given; undefined when it is missing. */
  readonly value: unknown;
  /** `default`, `file NAME`, `environment VARIABLE` or `flag --name`. */
  readonly origin: string;
  /** What is wrong and what to do, without the key and the value. */
  readonly text: string;
}

/** Thrown by {@link resolveConfig}; its code is that of the first problem. */
export class ConfigError extends BrokerError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly [ConfigProblem, ...ConfigProblem[]], cause?: unknown) {
    const lines = problems.map(formatProblem);
    const detail = lines.length === 1 ? (lines[0] ?? '') : `\n  ${lines.join('\n  ')}`;
    super(problems[0].code, detail, { cause });
    this.problems = problems;
  }
}

export interface ResolvedConfig {
  readonly config: Config;
  /** Dotted key → where its value came from, for every key. */
  readonly origins: ReadonlyMap<string, string>;
}

/**
 * The configuration that `input` amounts to.
 *
 * @throws ConfigError (a BROKER_ERR_CONFIG_*) listing every problem found
 */
export function resolveConfig(input: ConfigInput): Config {
  return resolveConfigWithOrigins(input).config;
}

/** As {@link resolveConfig}, and where each value came from. */
export function resolveConfigWithOrigins(input: ConfigInput): ResolvedConfig {
  const draft = new Draft();
  if (input.file !== undefined) draft.addFile(input.file, input.fileName ?? 'configuration file');
  draft.addEnvironment(input.env);
  draft.addFlags(input.flags);

  const result = configSchema.safeParse(draft.tree);
  const parsed = result.success ? result.data : undefined;
  if (!result.success) draft.addIssues(result.error.issues);
  const placed = parsed ? draft.placeListeners(parsed.mqtt) : [];
  const listeners = placed.map(unplaced);
  const config = parsed && {
    ...parsed,
    mqtt: { ...parsed.mqtt, listen: shortForm(placed), listeners },
    limits: draft.limitsOf(parsed.limits),
    node: { ...parsed.node, host: parsed.node.host ?? parsed.node.name },
  };
  if (config !== undefined) draft.checkTogether(config, placed);
  const [first, ...rest] = draft.problems;
  if (first !== undefined) throw new ConfigError([first, ...rest]);
  if (config === undefined) throw new BrokerError('BROKER_ERR_INTERNAL', 'configuration');
  return { config: deepFreeze(config), origins: draft.allOrigins() };
}

/** Which settings of the cluster were given in words: by a flag, the environment or a file. */
export function givenSettings({ config, origins }: ResolvedConfig): GivenSettings {
  const values: Record<string, unknown> = {};
  for (const [name, key] of Object.entries(SETTING_KEYS)) {
    const [section, leaf] = key.split('.') as [keyof Config, string];
    if (origins.get(key) !== 'default')
      values[name] = (config[section] as Record<string, unknown>)[leaf];
  }
  return values;
}

/** The failure detector's settings: its preset with what `swim` overrides. */
export function swimSettings(settings: Config['swim']): SwimConfig {
  const { preset, thread, unwellAfterMs, deadAfterMs, ...overrides } = settings;
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return swimConfig(Object.fromEntries(given), preset);
}

const FILE_CHARACTERS_MAX = 1_048_576;

/** Values gathered so far with their origins, and what was found wrong with them. */
class Draft {
  readonly tree: Record<string, Record<string, unknown>> = {};
  readonly problems: ConfigProblem[] = [];
  readonly #origins = new Map<string, string>();
  readonly #keys = new Map<string, ConfigKey>();

  constructor() {
    for (const section of configSections()) {
      this.tree[section.name] = {};
      for (const key of section.keys) this.#keys.set(key.key, key);
    }
  }

  addFile(text: string, fileName: string): void {
    const origin = `file ${fileName}`;
    const bad = (what: string) =>
      this.#report('BROKER_ERR_CONFIG_FILE', '', undefined, origin, what);
    if (text.length > FILE_CHARACTERS_MAX) {
      bad('is larger than 1 MiB');
      return;
    }
    let top: unknown;
    try {
      top = parseYaml(text);
    } catch (error) {
      bad(firstLine(error));
      return;
    }
    if (top === null || top === undefined) return;
    if (!isMapping(top)) {
      bad('must hold a mapping of sections, as in `node:` and below it `  name: a`');
      return;
    }
    for (const [name, section] of Object.entries(top)) {
      if (!Object.hasOwn(this.tree, name)) {
        this.#unknownKey(name, isMapping(section) ? undefined : section, origin);
      } else if (isMapping(section)) {
        for (const [leaf, value] of Object.entries(section)) {
          this.#set(`${name}.${leaf}`, value, origin);
        }
      } else if (section !== null) {
        this.#report('BROKER_ERR_CONFIG_TYPE', name, section, origin, 'must be a mapping of keys');
      }
    }
  }

  addEnvironment(env: ConfigInput['env']): void {
    const known = new Map([...this.#keys.values()].map((key) => [key.variable, key]));
    for (const [variable, value] of Object.entries(env).sort(byKey)) {
      if (value === undefined || !variable.startsWith('SHOAL_')) continue;
      const key = known.get(variable);
      const origin = `environment ${variable}`;
      if (key !== undefined) this.#set(key.key, this.#read(key, value), origin);
      else if (looksLikeOurs(variable, known)) {
        const text = `there is no such variable${suggestion(variable, known.keys())}`;
        this.#report('BROKER_ERR_CONFIG_UNKNOWN_KEY', variable, value, origin, text);
      }
    }
  }

  addFlags(flags: ConfigInput['flags']): void {
    for (const [dotted, value] of Object.entries(flags)) {
      const key = this.#keys.get(dotted);
      const origin = `flag ${key?.flag ?? '--set'}`;
      this.#set(dotted, key && typeof value === 'string' ? this.#read(key, value) : value, origin);
    }
  }

  /** Text from the environment or a flag as the type of its key; unchanged where it is not one. */
  #read(key: ConfigKey, text: string): unknown {
    if (key.type === 'list') return text === '' ? [] : text.split(',').map((item) => item.trim());
    if (key.type === 'string') return text;
    if (key.type === 'mappings') return readYaml(text);
    if (key.type === 'boolean') return text === 'true' || (text === 'false' ? false : text);
    return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
  }

  #set(dotted: string, value: unknown, origin: string): void {
    const dot = dotted.indexOf('.');
    const section = this.tree[dotted.slice(0, dot)];
    if (!this.#keys.has(dotted) || section === undefined) {
      this.#unknownKey(dotted, value, origin);
      return;
    }
    const isList = this.#keys.get(dotted)?.type === 'list';
    section[dotted.slice(dot + 1)] = isList && typeof value === 'string' ? [value] : value;
    this.#origins.set(dotted, origin);
  }

  #unknownKey(dotted: string, value: unknown, origin: string): void {
    const [section, leaf] = dotted.split('.');
    const text =
      this.#keys.has(dotted) && section !== undefined && leaf !== undefined
        ? `write it nested: \`${section}:\` and below it \`${leaf}:\``
        : `there is no such key${suggestion(dotted, [...this.#keys.keys(), ...Object.keys(this.tree)])}`;
    this.#report('BROKER_ERR_CONFIG_UNKNOWN_KEY', dotted, value, origin, text);
  }

  addIssues(issues: readonly z.core.$ZodIssue[]): void {
    for (const issue of issues) {
      const [section, leaf, ...within] = issue.path;
      const dotted = `${String(section)}.${String(leaf)}`;
      const shown = `${dotted}${within.map(shownStep).join('')}`;
      const origin = this.#origins.get(dotted) ?? 'default';
      let value: unknown = this.tree;
      for (const step of issue.path) value = (value as Record<PropertyKey, unknown>)?.[step];
      if (issue.code === 'unrecognized_keys') {
        for (const name of issue.keys)
          this.#report(
            'BROKER_ERR_CONFIG_UNKNOWN_KEY',
            `${shown}.${name}`,
            (value as Record<string, unknown>)[name],
            origin,
            `there is no such field: write it as in \`${LISTENER_EXAMPLE}\``,
          );
        continue;
      }
      if (value === undefined) {
        this.#missing(dotted, shown, origin, issue.code === 'custom' ? issue.message : undefined);
        continue;
      }
      const code =
        issue.code === 'invalid_type' ? 'BROKER_ERR_CONFIG_TYPE' : 'BROKER_ERR_CONFIG_VALUE';
      this.#report(code, shown, value, origin, describeIssue(issue, LISTENER_EXAMPLE));
    }
  }

  #missing(dotted: string, shown: string, origin: string, why?: string): void {
    const key = this.#keys.get(dotted);
    if (key === undefined || shown !== dotted) {
      const text = why ?? `must be set, as in \`${LISTENER_EXAMPLE}\``;
      this.#report('BROKER_ERR_CONFIG_MISSING', shown, undefined, origin, text);
      return;
    }
    const text = `must be set: ${key.flag ?? `--set ${dotted}=…`}, ${key.variable}, or in the file`;
    this.#report('BROKER_ERR_CONFIG_MISSING', shown, undefined, 'default', text);
  }

  /** The listeners of both forms, each with the key that gave its address. */
  placeListeners(mqtt: Parsed['mqtt']): readonly PlacedListener[] {
    return placeListeners(mqtt, (key) => this.#origins.has(key));
  }

  /** Rules that need more than one key, and the loopback rule, whose code is its own. */
  checkTogether(config: Config, listeners: readonly PlacedListener[]): void {
    for (const { code, key, value, text } of listenerProblems(listeners, config))
      this.#report(code, key, value, this.#originOf(key), text);
    const { listen } = config.admin;
    if (isOffLoopback(listen)) {
      const code = 'BROKER_ERR_ADDRESS_NOT_LOOPBACK';
      this.#report(code, 'admin.listen', listen, this.#originOf('admin.listen'), LOOPBACK_RULE);
    }
    this.#checkCluster(config.cluster);
    this.#checkPorts(config, listeners);
    this.#checkTimes(config);
  }

  #checkCluster(cluster: Config['cluster']): void {
    if (isWildcard(hostOf(cluster.listen)) && cluster.advertise === undefined)
      this.#conflict(
        'cluster.listen',
        cluster.listen,
        'a wildcard address needs cluster.advertise',
      );
    if (cluster.keyringFile === undefined) {
      for (const dotted of ['cluster.listen', 'cluster.advertise'] as const) {
        const text = dotted === 'cluster.listen' ? cluster.listen : cluster.advertise;
        if (text === undefined || !isOffLoopback(text)) continue;
        const why =
          'needs a keyring: make one with `shoal keyring generate --out FILE`, give every node the same, and set cluster.keyringFile (--keyring FILE)';
        const code = 'BROKER_ERR_CLUSTER_KEY_REQUIRED';
        this.#report(code, dotted, text, this.#originOf(dotted), why);
        break;
      }
    }
    if (cluster.encryption !== 'required' && cluster.keyringFile === undefined) {
      const why = 'is for a node with cluster.keyringFile';
      this.#conflict('cluster.encryption', cluster.encryption, why);
    }
    const clusterPort = cluster.listen.slice(cluster.listen.lastIndexOf(':') + 1);
    for (const way of cluster.discovery) {
      const port = /^multicast:.*:(\d+)(@|$)/.exec(way)?.[1];
      if (port !== clusterPort) continue;
      const why = `needs a port of its own, not that of cluster.listen (${cluster.listen})`;
      this.#conflict('cluster.discovery', way, why);
    }
  }

  /** Each port is for one purpose. */
  #checkPorts({ cluster, admin }: Config, listeners: readonly PlacedListener[]): void {
    const taken = new Map<string, string>();
    for (const { key, address } of [
      ...listeners.map(({ dotted, address }) => ({ key: dotted, address })),
      { key: 'cluster.listen', address: cluster.listen },
      { key: 'admin.listen', address: admin.listen },
    ]) {
      const other = taken.get(address);
      if (other !== undefined) this.#conflict(key, address, `is the address of ${other} too`);
      if (!address.endsWith(':0')) taken.set(address, key);
    }
  }

  #checkTimes({ swim, timings }: Config): void {
    try {
      swimSettings(swim);
    } catch (error) {
      if (!(error instanceof SwimError)) throw error;
      this.#conflict('swim', swim, error.message);
    }
    const { deadAfterMs, unwellAfterMs } = swim;
    if (deadAfterMs !== 0 && deadAfterMs <= unwellAfterMs) {
      const why = `must be more than swim.unwellAfterMs (${unwellAfterMs}), or 0`;
      this.#conflict('swim.deadAfterMs', deadAfterMs, why);
    }
    const { silenceMs, heartbeatMs } = timings;
    if (silenceMs < 3 * heartbeatMs) {
      const why = `must be at least three times timings.heartbeatMs (${heartbeatMs}): two lost turns are no silence`;
      this.#conflict('timings.silenceMs', silenceMs, why);
    }
  }

  #conflict(key: string, value: unknown, text: string): void {
    this.#report('BROKER_ERR_CONFIG_CONFLICT', key, value, this.#originOf(key), text);
  }

  /** Where a key's value came from, also of an element of a list. */
  #originOf(key: string): string {
    return this.#origins.get(key.replace(/\[.*$/, '')) ?? 'default';
  }

  /** Largest packets fit into the queue of a client that reads as they do by default, unless told otherwise. */
  limitsOf(limits: Parsed['limits']): Parsed['limits'] {
    const { liveQueueBytes, maxPacketBytes } = limits;
    if (this.#origins.has('limits.liveQueueBytes')) return limits;
    return { ...limits, liveQueueBytes: Math.max(liveQueueBytes, 8 * maxPacketBytes) };
  }

  allOrigins(): ReadonlyMap<string, string> {
    return new Map([...this.#keys.keys()].map((key) => [key, this.#origins.get(key) ?? 'default']));
  }

  #report(code: BrokerErrorCode, key: string, value: unknown, origin: string, text: string): void {
    this.problems.push({ code, key, value, origin, text });
  }
}

function formatProblem(problem: ConfigProblem): string {
  const { key, value, origin, text } = problem;
  if (key === '') return `${origin} ${text}`;
  if (value === undefined) {
    return origin === 'default' ? `${key} ${text}` : `${key} (${origin}): ${text}`;
  }
  const shown = JSON.stringify(value) ?? String(value);
  const short = shown.length > 100 ? `${shown.slice(0, 99)}…` : shown;
  return `${key} = ${short} (${origin}): ${text}`;
}

/** Text that is no YAML stays text, which the schema refuses. */
function readYaml(text: string): unknown {
  try {
    return parseYaml(text);
  } catch {
    return text;
  }
}

function hostOf(address: string): string {
  const parsed = readAddress(address);
  return 'host' in parsed ? parsed.host : '';
}

/**
 * True for a misspelt variable of ours. Kubernetes sets SHOAL_SERVICE_HOST and its like for a service
 * named shoal, and other programs may own SHOAL_ADMIN, so only a variable within a section of ours,
 * or nearly one of ours, is refused.
 */
function looksLikeOurs(variable: string, known: ReadonlyMap<string, unknown>): boolean {
  if (/_SERVICE_(HOST|PORT)|_PORT$|_PORT_\d+_(TCP|UDP)/.test(variable)) return false;
  const sections = configSections().map(({ name }) => `SHOAL_${name.toUpperCase()}_`);
  if (sections.some((prefix) => variable.startsWith(prefix))) return true;
  return nearest(variable, known.keys(), 2) !== undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n')[0] ?? text).replace(/:$/, '');
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
