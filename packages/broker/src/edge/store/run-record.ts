/**
 * What the last run of a node said of itself, beside its store: which machine it ran on, when, and how
 * it acknowledged. Read before the store is opened, for a store that is opened may have dropped what
 * would have shown that it is not whole.
 */
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { BrokerError } from '../../errors.ts';
import { writeDurably } from './durable-file.ts';

const FORMAT = 1;

export interface RunRecord {
  readonly storeId: string;
  readonly bootEpoch: number;
  /** Identifies the machine's boot: what it had in memory is gone with it. */
  readonly machineBoot: string;
  readonly durability: 'disk' | 'memory';
  /** The run ended in order, and all that it had written is synced. */
  readonly clean: boolean;
  /** What was found before the store was opened, until the store itself says so. */
  readonly damage: string | null;
  readonly pid: number;
}

export function encodeRunRecord(record: RunRecord): string {
  return `${JSON.stringify({ format: FORMAT, ...record })}\n`;
}

/**
 * @param path named in the error
 * @returns null for a torn record
 * @throws BrokerError BROKER_ERR_DATA_NEWER_FORMAT
 */
export function decodeRunRecord(text: string, path: string): RunRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { format, ...record } = value as { format: unknown } & RunRecord;
  if (typeof format === 'number' && format > FORMAT)
    throw new BrokerError('BROKER_ERR_DATA_NEWER_FORMAT', `${path}: format ${format}`);
  return format === FORMAT ? record : null;
}

/**
 * @returns null if there was no run, or its record is torn
 * @throws BrokerError BROKER_ERR_DATA_NEWER_FORMAT
 */
export async function readRunRecord(path: string): Promise<RunRecord | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new BrokerError('BROKER_ERR_DATA_PERMISSION', path, { cause: error });
  }
  return decodeRunRecord(text, path);
}

export function writeRunRecord(path: string, record: RunRecord): Promise<void> {
  return writeDurably(path, encodeRunRecord(record));
}

/** Identifies this boot of this machine. */
export async function machineBoot(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    // Elsewhere the time of the boot, to the minute: a wrong guess only costs a snapshot.
    return `boot at minute ${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  }
}

/** Why the store is not believed after the last run; null if it is. */
export function damageOfRun(last: RunRecord, boot: string): string | null {
  if (last.damage !== null) return last.damage;
  if (last.durability === 'memory' && !last.clean && last.machineBoot !== boot)
    return 'the machine started anew: what was acknowledged with durability memory may not have reached the disk';
  return null;
}
