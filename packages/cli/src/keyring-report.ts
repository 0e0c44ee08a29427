/** What the `shoal keyring` commands print. */

import type { KeyringStatus } from '@shoal/broker';

/** One key, and on how many of the members asked. */
export interface KeyRow {
  readonly id: string;
  readonly primaryOn: number;
  readonly heldBy: number;
}

/** What a command gives with --json. */
export interface KeyringReport extends KeyringStatus {
  readonly keys: readonly KeyRow[];
}

/** Adds up the keys of all members; those that most use come first. */
export function summarize(status: KeyringStatus): KeyringReport {
  const rows = new Map<string, { id: string; primaryOn: number; heldBy: number }>();
  for (const { keys } of status.members) {
    for (const { id, primary } of keys ?? []) {
      const row = rows.get(id) ?? { id, primaryOn: 0, heldBy: 0 };
      row.heldBy++;
      if (primary) row.primaryOn++;
      rows.set(id, row);
    }
  }
  const keys = [...rows.values()].sort(
    (a, b) => b.primaryOn - a.primaryOn || b.heldBy - a.heldBy || (a.id < b.id ? -1 : 1),
  );
  return { members: status.members, keys };
}

/**
 * The id of a key as an operator types it, in lower case.
 *
 * @throws BROKER_ERR_REQUEST_INVALID if it is none
 */
export async function readKeyId(text: string): Promise<string> {
  const id = text.toLowerCase();
  if (/^[0-9a-f]{8}$/.test(id)) return id;
  const { BrokerError } = await import('@shoal/broker/errors');
  const detail = 'ID must be eight hexadecimal digits, as `shoal keyring list` shows them';
  throw new BrokerError('BROKER_ERR_REQUEST_INVALID', detail);
}

/** The table of keys, and a line for each member that could not do it. */
export async function formatReport({ keys, members }: KeyringReport): Promise<string> {
  const { formatTable } = await import('./format.ts');
  const total = members.length;
  const rows = keys.map(({ id, primaryOn, heldBy }) => [
    id,
    `${primaryOn} of ${total}`,
    `${heldBy} of ${total}`,
  ]);
  const tables =
    rows.length === 0 ? [] : [await formatTable(['KEY', 'PRIMARY ON', 'HELD BY'], rows)];
  const failures = members.flatMap(({ name, error }) =>
    error === null ? [] : [`${name}: ${error.message} ${error.remedy} [${error.code}]`],
  );
  return [...tables, ...failures].join('\n');
}

/**
 * Ends a command that some members could not carry out with an exit code of its own.
 *
 * @param json the report goes out as it is, and says which
 * @throws BROKER_ERR_KEYRING_INCOMPLETE naming the members, unless `json`
 */
export async function conclude({ members }: KeyringStatus, json: boolean): Promise<void> {
  const failed = members.filter(({ error }) => error !== null);
  if (failed.length === 0) return;
  const { BrokerError } = await import('@shoal/broker/errors');
  const names = failed.map(({ name, error }) => `${name} (${error?.code})`);
  const error = new BrokerError('BROKER_ERR_KEYRING_INCOMPLETE', names.join(', '));
  if (!json) throw error;
  process.exitCode = error.exitCode;
}
