/** One listener of a configuration: its fields, which of them belong to which transport, and the short form. */
import { isIP } from 'node:net';
import { readAddress } from '@shoal/swim';
import { z } from 'zod';
import { describeIssue } from './config-issues.ts';
import { type ListenerOffer, offerFields, offerFieldsOf } from './config-listener-offer.ts';

/** Ways by which clients may come. */
export const TRANSPORTS = ['tcp', 'tls', 'ws', 'wss', 'unix'] as const;
export type Transport = (typeof TRANSPORTS)[number];

const VERSIONS = ['3.1', '3.1.1', '5'] as const;

/** Certificates of one listener, for as many names. */
const CERTIFICATES_MAX = 16;
/** Origins or proxies that one listener names. */
const NAMED_MAX = 64;
/** Bytes of the path of a unix socket: the kernel's bound, without the byte that ends it. */
const UNIX_PATH_BYTES_MAX = 107;

/** Where clients connect, and how. Fields of other transports are absent. */
export interface ListenerConfig extends ListenerOffer {
  /** Unique within a node. */
  readonly name: string;
  readonly transport: Transport;
  /** HOST:PORT; of transport `unix`, the path of the socket. */
  readonly address: string;
  /** `tls`, `wss`: PEM files of certificates, the first for clients that name no other host. */
  readonly cert?: readonly string[] | undefined;
  /** `tls`, `wss`: PEM files of their private keys, in the same order. */
  readonly key?: readonly string[] | undefined;
  /** `tls`, `wss`: PEM file of the authorities that sign certificates of clients. */
  readonly clientCa?: string | undefined;
  /** `tls`, `wss`: whether a client shows a certificate. */
  readonly clientCertificate?: 'none' | 'optional' | 'required' | undefined;
  /** `tls`, `wss`: lowest version of TLS. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `ws`, `wss`: path of the URL. */
  readonly path?: string | undefined;
  /** `ws`, `wss`: origins of pages that may connect, or `*`; empty for pages of this machine. */
  readonly origins?: readonly string[] | undefined;
  /** `unix`: permissions of the socket, in octal digits. */
  readonly mode?: string | undefined;
  /** Not `unix`: a wildcard IPv6 address takes IPv6 clients only. */
  readonly ipv6Only?: boolean | undefined;
  /** Proxies that begin with a PROXY header: addresses, ranges, or `unix`. */
  readonly proxyFrom?: readonly string[] | undefined;
  /** Connections of this listener, besides `limits.connections`. */
  readonly maxConnections?: number | undefined;
  /** Bytes of the largest MQTT packet, at most `limits.maxPacketBytes`. */
  readonly maxPacketBytes?: number | undefined;
  /** Versions of MQTT that are accepted; absent for all. */
  readonly protocolVersions?: readonly (typeof VERSIONS)[number][] | undefined;
}

type DeepMutable<T> = { -readonly [K in keyof T]: T[K] };
/** A listener without its name. */
export type ListenerFields = Omit<DeepMutable<ListenerConfig>, 'name'>;

const TLS: readonly Transport[] = ['tls', 'wss'];
const WEB: readonly Transport[] = ['ws', 'wss'];

/** Fields that not every transport has. */
const TRANSPORTS_OF: Readonly<Record<string, readonly Transport[]>> = {
  cert: TLS,
  key: TLS,
  clientCa: TLS,
  clientCertificate: TLS,
  minVersion: TLS,
  path: WEB,
  origins: WEB,
  mode: ['unix'],
  ipv6Only: ['tcp', 'tls', 'ws', 'wss'],
};

const fileName = () => z.string().min(1).max(4096);

/** A list, which may be written as its element. */
const listOf = (element: z.ZodType<string>, max: number) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? [value] : value),
    z.array(element).min(1).max(max),
  );

/** As {@link listOf}; what YAML reads as a number is text. */
const versions = () =>
  z.preprocess(
    (value) => (Array.isArray(value) ? value : [value]).map((each) => String(each)),
    z.array(z.enum(VERSIONS)).min(1).max(VERSIONS.length),
  );

const origin = () =>
  z
    .string()
    .max(300)
    .refine(
      (text) => text === '*' || (URL.canParse(text) && new URL(text).origin === text),
      'must be an origin as browsers send it, in lower case and without a path, as in https://app.example, or *',
    );

const proxy = () =>
  z.string().refine((text) => {
    const [address = '', bits, ...more] = text.split('/');
    if (text === 'unix') return true;
    const most = isIP(address) === 6 ? 128 : 32;
    if (isIP(address) === 0 || more.length > 0) return false;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  }, 'must be an IP address, a range as in 10.0.0.0/8, or unix');

/** The fields of a listener, checked together; `more` are those of the long form. */
export const listenerFields = <T extends z.ZodRawShape>(more: T) =>
  z
    .strictObject({
      ...more,
      transport: z.enum(TRANSPORTS).default('tcp'),
      address: z.string().max(300),
      cert: listOf(fileName(), CERTIFICATES_MAX).optional(),
      key: listOf(fileName(), CERTIFICATES_MAX).optional(),
      clientCa: fileName().optional(),
      clientCertificate: z.enum(['none', 'optional', 'required']).optional(),
      minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional(),
      path: z
        .string()
        .max(200)
        .regex(/^\/[\w\-./~]*$/, 'must begin with / and have letters, digits and -._~/ only')
        .optional(),
      origins: listOf(origin(), NAMED_MAX).optional(),
      mode: z
        .string()
        .regex(/^[0-7]{3}$/, 'must be three octal digits in quotes, as in "660"')
        .optional(),
      ipv6Only: z.boolean().optional(),
      proxyFrom: listOf(proxy(), NAMED_MAX).optional(),
      maxConnections: z.int().min(1).max(1_000_000).optional(),
      maxPacketBytes: z.int().min(1024).max(16_777_216).optional(),
      protocolVersions: versions().optional(),
      ...offerFields,
    })
    .superRefine((given, context) => {
      for (const [field, text] of fieldProblems(given as unknown as ListenerFields))
        context.addIssue({ code: 'custom', path: [field], message: text });
    });

/** What is wrong between the fields of one listener: field and text. */
function* fieldProblems(given: ListenerFields): Generator<readonly [string, string]> {
  const { transport, address, cert, key, clientCa, clientCertificate = 'none' } = given;
  for (const [field, transports] of Object.entries(TRANSPORTS_OF)) {
    if (given[field as keyof ListenerFields] === undefined || transports.includes(transport))
      continue;
    yield [field, `is for transport ${transports.join(', ')}, not for ${transport}`];
  }
  const problem = addressProblem(transport, address);
  if (problem !== undefined) yield ['address', problem];
  if (!TLS.includes(transport)) return;
  if (cert === undefined) yield ['cert', `must be set for ${transport}: a PEM file`];
  if (key === undefined) yield ['key', `must be set for ${transport}: a PEM file`];
  if (cert && key && cert.length !== key.length)
    yield ['key', `must name a file for each of the ${cert.length} in cert`];
  if (clientCertificate !== 'none' && clientCa === undefined)
    yield ['clientCa', `must be set where clientCertificate is ${clientCertificate}: a PEM file`];
  if (clientCertificate === 'none' && clientCa !== undefined)
    yield ['clientCa', 'needs clientCertificate: optional or required'];
}

function addressProblem(transport: Transport, address: string): string | undefined {
  if (transport === 'unix') {
    if (!address.startsWith('/')) return 'must be the absolute path of a socket';
    if (Buffer.byteLength(address) <= UNIX_PATH_BYTES_MAX) return undefined;
    return `must be at most ${UNIX_PATH_BYTES_MAX} bytes long`;
  }
  const parsed = readAddress(address);
  return 'problem' in parsed ? `must be HOST:PORT: ${parsed.problem}` : undefined;
}

const LISTS: readonly string[] = ['cert', 'key', 'origins', 'proxyFrom', 'protocolVersions'];
/** Fields that are no text. */
const NUMBERS: readonly string[] = ['maxConnections', 'maxPacketBytes', ...offerFieldsOf('number')];
const BOOLEANS: readonly string[] = ['ipv6Only', ...offerFieldsOf('boolean')];

const ONE_LISTENER = listenerFields({});

/**
 * Reads the short form: HOST:PORT, or `TRANSPORT://ADDRESS?FIELD=VALUE&…`, where a list repeats its field.
 *
 * ```
 *   tls://:8883?cert=/etc/shoal/server.pem&key=/etc/shoal/server.key    no host is 127.0.0.1
 *   ws://127.0.0.1:8080/mqtt?origins=https://app.example
 *   unix:///run/shoal/mqtt.sock?mode=660
 * ```
 */
export function readListen(text: string): ListenerFields | { readonly problem: string } {
  const url = /^([a-z]+):\/\/([^?]*)(?:\?(.*))?$/.exec(text);
  const [, transport = 'tcp', place = text, query = ''] = url ?? [];
  if (!(TRANSPORTS as readonly string[]).includes(transport)) {
    const known = TRANSPORTS.map((name) => `${name}://`).join(', ');
    return { problem: `must be HOST:PORT or begin with ${known}` };
  }
  const fields: Record<string, unknown> = { transport, address: place };
  const slash = place.indexOf('/');
  if (slash >= 0 && (transport === 'ws' || transport === 'wss')) {
    fields['address'] = place.slice(0, slash);
    fields['path'] = place.slice(slash);
  }
  if (url && place.startsWith(':')) fields['address'] = `127.0.0.1${String(fields['address'])}`;
  for (const [field, value] of new URLSearchParams(query)) {
    const list = LISTS.includes(field);
    if (fields[field] !== undefined && !list) return { problem: `${field} is given twice` };
    if (list) fields[field] = [...((fields[field] as string[] | undefined) ?? []), value];
    else fields[field] = readValue(field, value);
  }
  const parsed = ONE_LISTENER.safeParse(fields);
  if (parsed.success) return parsed.data as ListenerFields;
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') return { problem: `has no field ${issue.keys[0]}` };
  const [field] = issue.path;
  const what = describeIssue(issue);
  return { problem: field === 'address' ? what : `${String(field)} ${what}` };
}

/** Text of the short form as the type of its field; unchanged where it is not one. */
function readValue(field: string, text: string): unknown {
  if (BOOLEANS.includes(field) && /^(true|false)$/.test(text)) return text === 'true';
  return NUMBERS.includes(field) && /^\d+$/.test(text) ? Number(text) : text;
}

/** An element of `mqtt.listen`. */
export const listenText = () =>
  z
    .string()
    .max(4096)
    .superRefine((text, context) => {
      const read = readListen(text);
      if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem });
    });
