/**
 * Keyrings on disk: one JSON file, for its owner alone.
 *
 *     { "primary": "1169a4d2", "keys": { "1169a4d2": "AQEB…", "9c3f00e1": "…" } }
 *
 * A key is 32 bytes in base64, under its id, which is computed from it: a file in which they differ is
 * damaged. A node keeps the ring that it uses in its data folder, where every rotation writes it anew.
 */

import { constants } from 'node:fs';
import { access, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateKey, keyId } from '@shoal/swim';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import { BrokerError } from '../../errors.ts';
import type { Log } from '../../ports.ts';

/** Keys of 32 bytes, 1 to 16, the one to seal with first. */
export type KeyringKeys = readonly Uint8Array[];

/** Bytes of a keyring file; a larger one is none. */
const FILE_BYTES_MAX = 16_384;
/** Keys of a keyring file; one with more is refused. */
const KEYS_MAX = 16;
/** Name within the data folder. */
const KEPT_NAME = 'keyring.json';

const id = z.string().regex(/^[0-9a-f]{8}$/);
const fileSchema = z.strictObject({ primary: id, keys: z.record(id, z.base64()) });

/** A new key, as `shoal keyring install` takes it. */
export function generateKeyText(): string {
  return Buffer.from(generateKey()).toString('base64');
}

/** The public name of a key: eight hexadecimal digits. */
export const keyIdOf = keyId;

/**
 * The key in a text of base64, white space around it aside.
 *
 * @throws BROKER_ERR_KEY_INVALID, without the text
 */
export function parseKey(text: string): Uint8Array {
  const trimmed = text.trim();
  const key = Buffer.from(trimmed, 'base64');
  if (key.length !== 32 || key.toString('base64') !== trimmed) {
    throw new BrokerError('BROKER_ERR_KEY_INVALID', 'it must be 32 bytes in base64');
  }
  return new Uint8Array(key);
}

/**
 * The ring that a node starts with: that of its data folder, or else that of `file`, which is copied
 * there; undefined where there is neither.
 *
 * @param file where the first ring comes from; it may be gone once the data folder has one
 * @throws BROKER_ERR_KEYRING_FILE naming the file and what is wrong with it
 */
export async function loadKeyring(
  dataDir: string,
  file: string | undefined,
): Promise<KeyringKeys | undefined> {
  const kept = await readKeyring(join(dataDir, KEPT_NAME), { optional: true });
  if (kept !== undefined || file === undefined) return kept;
  const first = await readKeyring(file);
  await keepKeyring(dataDir, first);
  return first;
}

/** The ring that a node starts with, said in its log: clear text between nodes must not go unnoticed. */
export async function openKeyring(
  { data, cluster }: Pick<Config, 'data' | 'cluster'>,
  log: Log,
): Promise<KeyringKeys | undefined> {
  const keys = await loadKeyring(data.dir, cluster.keyringFile);
  if (keys === undefined) return undefined;
  const { encryption } = cluster;
  const ids = keys.map((key) => keyIdOf(key));
  log(encryption === 'required' ? 'info' : 'warn', 'keyring', { keys: ids, encryption });
  return keys;
}

/**
 * Whether `loadKeyring` would get by with `file`; writes nothing. Where the data folder has a ring,
 * or cannot be looked into, only a start can tell.
 *
 * @throws BROKER_ERR_KEYRING_FILE naming the file and what is wrong with it
 */
export async function checkKeyring(dataDir: string, file: string | undefined): Promise<void> {
  const kept = await access(join(dataDir, KEPT_NAME)).then(() => 'there', codeOf);
  if (file !== undefined && kept === 'ENOENT') await readKeyring(file);
}

/** Makes `keys` the ring that the node of this data folder starts with; on disk when it resolves. */
export async function keepKeyring(dataDir: string, keys: KeyringKeys): Promise<void> {
  await writeKeyring(join(dataDir, KEPT_NAME), keys);
}

/**
 * Writes a ring that only its owner may read: wholly or not at all.
 *
 * @param options.fresh refuse to replace a file
 * @throws BROKER_ERR_KEYRING_FILE
 */
export async function writeKeyring(
  file: string,
  keys: KeyringKeys,
  options: { readonly fresh?: boolean } = {},
): Promise<void> {
  const entries = keys.map((key) => [keyId(key), Buffer.from(key).toString('base64')] as const);
  const ring = { primary: entries[0]?.[0], keys: Object.fromEntries(entries) };
  const text = `${JSON.stringify(ring, null, 2)}\n`;
  const written = options.fresh === true ? file : `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(written, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (written !== file) await rename(written, file);
    const folder = await open(dirname(file), constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch (cause) {
    if (written !== file) await rm(written, { force: true });
    const problem =
      codeOf(cause) === 'EEXIST'
        ? 'exists already and is not replaced: give another name'
        : `cannot be written (${codeOf(cause)})`;
    throw refusal(file, problem, cause);
  }
}

/**
 * Reads a ring.
 *
 * @throws BROKER_ERR_KEYRING_FILE if it is missing, readable for others, or no keyring; never with
 * anything of its content
 */
export async function readKeyring(file: string): Promise<KeyringKeys>;
export async function readKeyring(
  file: string,
  options: { readonly optional: true },
): Promise<KeyringKeys | undefined>;
export async function readKeyring(
  file: string,
  options: { readonly optional?: true } = {},
): Promise<KeyringKeys | undefined> {
  let text: string;
  try {
    const handle = await open(file, constants.O_RDONLY);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw refusal(file, 'is not a file');
      const { mode, uid, size } = stats;
      const problem = permissionProblem(mode, uid);
      if (problem !== undefined) throw refusal(file, problem);
      if (size > FILE_BYTES_MAX) throw refusal(file, 'is too large to be one');
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    if (options.optional === true && codeOf(error) === 'ENOENT') return undefined;
    throw refusal(file, `cannot be read (${codeOf(error)})`, error);
  }
  return parseKeyring(file, text);
}

function parseKeyring(file: string, text: string): KeyringKeys {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message would quote the file.
    throw refusal(file, 'is not JSON');
  }
  const parsed = fileSchema.safeParse(json).data;
  if (parsed === undefined) throw refusal(file, 'has not the form of a keyring');
  const entries = Object.entries(parsed.keys);
  if (entries.length < 1 || entries.length > KEYS_MAX) {
    throw refusal(file, `has ${entries.length} keys, and may have 1 to ${KEYS_MAX}`);
  }
  const keys = new Map<string, Uint8Array>();
  for (const [name, base64] of entries) {
    const key = new Uint8Array(Buffer.from(base64, 'base64'));
    if (key.length !== 32 || keyId(key) !== name) {
      throw refusal(file, `is damaged: ${name} is not the id of its key`);
    }
    keys.set(name, key);
  }
  const primary = keys.get(parsed.primary);
  if (primary === undefined) throw refusal(file, `lacks its primary key ${parsed.primary}`);
  return [primary, ...[...keys.values()].filter((key) => key !== primary)];
}

/** As PostgreSQL has it: the owner's alone, or root's with leave for the group (mounted secrets). */
function permissionProblem(mode: number, uid: number): string | undefined {
  if (process.platform === 'win32') return undefined;
  const others = uid === 0 && process.getuid?.() !== 0 ? 0o037 : 0o077;
  if ((mode & others) === 0) return undefined;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  return `may be read by others than its owner (mode ${shown}); chmod 600 it`;
}

function refusal(file: string, problem: string, cause?: unknown): BrokerError {
  return new BrokerError('BROKER_ERR_KEYRING_FILE', `${file} ${problem}`, { cause });
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? error);
}
