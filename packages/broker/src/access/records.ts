/**
 * What a cluster knows of those who may use it: users, roles and bans, as JSON records.
 *
 * Each record is a retained message under {@link ACCESS_PREFIX}: it has R copies as every retained message,
 * comes to each node as they do, and of two changes of one record the later one counts.
 */
import { z } from 'zod';
import { isTopicFilter } from '../mqtt/topic.ts';

/** Topics of the cluster's own: no client may publish or subscribe there. */
export const ACCESS_PREFIX = '$shoal/access/';

/** Rules of one user or role. */
const RULES_MAX = 1000;
/** Roles of one user. */
const ROLES_MAX = 100;
/** Bytes of one record. */
export const RECORD_BYTES_MAX = 262_144;

const name = (what: string) =>
  z
    .string()
    .min(1, `${what}: must not be empty`)
    .max(255, `${what}: must have at most 255 characters`)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, `${what}: must have no control characters`);

/** What a rule is about: PUBLISH and Wills, or SUBSCRIBE and what is delivered. */
export const ACTIONS = ['publish', 'subscribe', 'all'] as const;

/** What a user or a role may do, or may not. */
export interface Rule {
  readonly allow: boolean;
  readonly action: (typeof ACTIONS)[number];
  /** Topic Filter; `%c` stands for the Client Identifier, `%u` for the user's name. */
  readonly topic: string;
  /** The rule is about publishes of at most this QoS, and subscriptions granted it. */
  readonly maximumQos?: number | undefined;
  /** The rule is about publishes with RETAIN, or without, alone. */
  readonly retain?: boolean | undefined;
}

const rule: z.ZodType<Rule> = z.strictObject({
  allow: z.boolean(),
  action: z.enum(ACTIONS),
  topic: z
    .string()
    .max(65_535)
    .refine(isTopicFilter, 'must be a Topic Filter, for instance sensors/%c/#'),
  maximumQos: z.int().min(0).max(2).optional(),
  retain: z.boolean().optional(),
});

export interface User {
  readonly name: string;
  /** Argon2id in PHC form; absent for a user who proves who he is in another way. */
  readonly password?: string | undefined;
  readonly enabled: boolean;
  readonly roles: readonly string[];
  readonly rules: readonly Rule[];
}

const user = z.strictObject({
  name: name('name'),
  password: z
    .string()
    .max(512)
    .regex(/^\$argon2id\$/, 'must be an argon2id hash')
    .optional(),
  enabled: z.boolean().default(true),
  roles: z.array(name('role')).max(ROLES_MAX).default([]),
  rules: z.array(rule).max(RULES_MAX).default([]),
});

export interface Role {
  readonly name: string;
  readonly rules: readonly Rule[];
}

const role = z.strictObject({
  name: name('name'),
  rules: z.array(rule).max(RULES_MAX).default([]),
});

/** Whom a ban is about. */
export const BAN_KINDS = ['client', 'user', 'address'] as const;

export interface Ban {
  readonly kind: (typeof BAN_KINDS)[number];
  /** Client Identifier, name of a user, or IP address. */
  readonly value: string;
  /** Milliseconds since 1970; 0: until it is lifted. */
  readonly untilMs: number;
  readonly reason: string;
}

const ban = z.strictObject({
  kind: z.enum(BAN_KINDS),
  value: z.string().min(1).max(65_535),
  untilMs: z.number().min(0).default(0),
  reason: z.string().max(1000).default(''),
});

/** Kinds of records, by the word in their topic. */
export const RECORDS = { user, role, ban } as const;

export type RecordKind = keyof typeof RECORDS;
export type RecordOf<K extends RecordKind> = { user: User; role: Role; ban: Ban }[K];

export function topicOf(kind: RecordKind, key: string): string {
  return `${ACCESS_PREFIX}${kind}/${encodeURIComponent(key)}`;
}

/** Key of a ban. */
export function banKey({ kind, value }: Pick<Ban, 'kind' | 'value'>): string {
  return `${kind}:${value}`;
}

/** Kind and key that a topic under {@link ACCESS_PREFIX} names; undefined for one of a later version. */
export function keyOfTopic(topic: string): { kind: RecordKind; key: string } | undefined {
  const [kind = '', encoded = ''] = topic.slice(ACCESS_PREFIX.length).split('/');
  if (!topic.startsWith(ACCESS_PREFIX) || !Object.hasOwn(RECORDS, kind) || encoded === '')
    return undefined;
  try {
    return { kind: kind as RecordKind, key: decodeURIComponent(encoded) };
  } catch {
    return undefined;
  }
}

/** A role that every cluster has: everything that is not the server's own, and `$SYS` to read. */
export const ROLE_ALL: Role = {
  name: 'all',
  rules: [
    { allow: true, action: 'all', topic: '#' },
    { allow: true, action: 'subscribe', topic: '$SYS/#' },
  ],
};

/** The role of clients without a name, if the cluster has one so called; without it they may do everything. */
export const ROLE_ANONYMOUS = 'anonymous';
