/** Pages of a list that several nodes have parts of, by Client Identifier in code unit order. */
import { BrokerError } from '../../errors.ts';

/** What one node answers: its first ones after the cursor. */
export interface Part<T> {
  readonly items: readonly T[];
  /** False when more follow the last one. */
  readonly complete: boolean;
}

/**
 * One page, each Client Identifier once. Where an answer was cut, nothing beyond its last one is known to be
 * complete.
 */
export function mergeParts<T extends { readonly clientId: string }>(
  parts: readonly Part<T>[],
  limit: number,
): { readonly items: readonly T[]; readonly nextCursor: string | null } {
  let horizon: string | null = null;
  const byId = new Map<string, T>();
  for (const { items, complete } of parts) {
    for (const item of items) byId.set(item.clientId, item);
    const last = items.at(-1)?.clientId;
    if (!complete && last !== undefined && (horizon === null || last < horizon)) horizon = last;
  }
  const all = [...byId.values()]
    .filter(({ clientId }) => horizon === null || clientId <= horizon)
    .sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  const items = all.slice(0, limit);
  const more = horizon !== null || all.length > limit;
  return { items, nextCursor: more ? encodeCursor(items.at(-1)!.clientId) : null };
}

function encodeCursor(clientId: string): string {
  return Buffer.from(clientId).toString('base64url');
}

/** @throws BROKER_ERR_REQUEST_INVALID for a cursor that is none */
export function decodeCursor(cursor: string): string {
  const clientId = Buffer.from(cursor, 'base64url').toString();
  if (encodeCursor(clientId) !== cursor)
    throw new BrokerError('BROKER_ERR_REQUEST_INVALID', 'cursor is not one of a page before');
  return clientId;
}
