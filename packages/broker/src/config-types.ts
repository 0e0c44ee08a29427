/** Types of values that several keys of the configuration have. */
import { isWildcard, parseDiscovery, readAddress, SwimError } from '@shoal/swim';
import { z } from 'zod';

/** What the reference shows of a key beside its type. `x-flag` is the flag of `shoal start`. */
interface KeyMeta {
  readonly description: string;
  readonly 'x-flag'?: string;
  /** What an absent optional value means, where there is no plain default. */
  readonly 'x-default'?: string;
}

/** One key of the configuration. */
export const key = <T extends z.ZodType>(type: T, meta: KeyMeta): T => type.meta({ ...meta }) as T;

export const integer = (from: number, to: number) => z.int().min(from).max(to);

const addressType = (portMin: 0 | 1, allowAnyHost: boolean) =>
  z
    .string()
    .max(300)
    .superRefine((text, context) => {
      const address = readAddress(text);
      const problem =
        'problem' in address
          ? address.problem
          : address.port < portMin
            ? 'port 0 is only for listening'
            : !allowAnyHost && isWildcard(address.host)
              ? 'nobody can connect to a wildcard address'
              : undefined;
      if (problem !== undefined) {
        context.addIssue({ code: 'custom', message: `must be HOST:PORT: ${problem}` });
      }
    });

/** A way to find members, as `parseDiscovery` reads it; its error says how to write it. */
export const discoveryType = () =>
  z
    .string()
    .max(600)
    .superRefine((text, context) => {
      try {
        parseDiscovery(text);
      } catch (error) {
        if (!(error instanceof SwimError)) throw error;
        context.addIssue({ code: 'custom', message: error.detail.replace(`"${text}": `, '') });
      }
    });

/** An address to listen on: port 0 takes a free one, a wildcard host takes every interface. */
export const listenAddress = () => addressType(0, true);
/** An address to connect to. */
export const peerAddress = () => addressType(1, false);

export const label = () =>
  z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
      'must be 1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit',
    );

/** How a member of a Shared Subscription is chosen. */
export const SHARED_STRATEGIES = [
  'round-robin',
  'random',
  'sticky',
  'hash-client',
  'hash-topic',
  'local-first',
] as const;

/** Share names with a strategy of their own. */
const SHARED_STRATEGIES_MAX = 1024;

/** `NAME=STRATEGY`, each share name once. */
export const sharedStrategies = () =>
  z
    .array(z.string().max(65_535))
    .max(SHARED_STRATEGIES_MAX)
    .superRefine((entries, context) => {
      const names = new Set<string>();
      for (const entry of entries) {
        const { name, strategy } = partsOf(entry);
        const known = (SHARED_STRATEGIES as readonly string[]).includes(strategy);
        const problem =
          name === '' || /[+#/]/.test(name)
            ? 'must be NAME=STRATEGY, with a share name that is not empty and has no +, # or /'
            : !known
              ? `strategy ${JSON.stringify(strategy)} is none of ${SHARED_STRATEGIES.join(', ')}`
              : names.has(name)
                ? `share name ${JSON.stringify(name)} stands twice`
                : undefined;
        names.add(name);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      }
    });

function partsOf(entry: string): { name: string; strategy: string } {
  const at = entry.lastIndexOf('=');
  return { name: entry.slice(0, Math.max(0, at)), strategy: entry.slice(at + 1) };
}

/** Share name → strategy, of entries that were checked. */
export function readSharedStrategies(
  entries: readonly string[],
): Record<string, (typeof SHARED_STRATEGIES)[number]> {
  const read = entries.map(partsOf).map(({ name, strategy }) => [name, strategy]);
  return Object.fromEntries(read) as ReturnType<typeof readSharedStrategies>;
}
