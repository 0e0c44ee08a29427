/** Groups of Shared Subscriptions as one node knows them: whose messages wait, and what it has given to whom. */
import { isShared } from '../../mqtt/topic.ts';
import type { Session } from '../../session/session.ts';
import type { Group } from '../route/groups.ts';
import type { AskedLeader } from './ask-port.ts';
import type { ShareAnswer, SharesAnswer } from './question.ts';

/** Groups in one answer; the rest is asked for by further questions. */
const GROUPS_MAX = 1000;
/** Offline members of a group that an answer names; all are counted. */
const OFFLINE_MAX = 1000;
/** Characters of Topic Filters or Client Identifiers in one answer. */
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** Shared Subscriptions of one session in an explanation. */
const EXPLAINED_MAX = 20;

/** The first Shared Subscriptions of a stored session. */
export function sharedOf(s: Session | null): string[] {
  const shared: string[] = [];
  for (const filter of s?.subscriptions?.keys() ?? [])
    if (isShared(filter) && shared.length < EXPLAINED_MAX) shared.push(filter);
  return shared;
}

/** What the shards led here keep for groups, after this key in code unit order. */
export function sharesOf(leaders: Iterable<AskedLeader>, after: string): SharesAnswer {
  const byKey = new Map<string, { waiting: number; bytes: number; stored: number }>();
  const of = (key: string) => {
    let share = byKey.get(key);
    if (!share) {
      share = { waiting: 0, bytes: 0, stored: 0 };
      byKey.set(key, share);
    }
    return share;
  };
  for (const { state } of leaders) {
    for (const { key, messages, bytes } of state.groups.byKey.values()) {
      if (key <= after) continue;
      const share = of(key);
      share.waiting += messages.size;
      share.bytes += bytes;
    }
    for (const [filter, count] of state.filters)
      if (isShared(filter) && filter > after) of(filter).stored += count;
  }
  const all = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1));
  let characters = 0;
  const shares: SharesAnswer['shares'][number][] = [];
  for (const [key, share] of all) {
    characters += key.length;
    if (shares.length >= GROUPS_MAX || (shares.length > 0 && characters > CHARACTERS_MAX)) break;
    shares.push({ key, ...share });
  }
  return { shares, complete: shares.length === all.length };
}

export function shareOf(
  leaders: Iterable<AskedLeader>,
  group: Group | undefined,
  key: string,
): ShareAnswer {
  let waiting = 0;
  let bytes = 0;
  let offlineCount = 0;
  const offline: string[] = [];
  let characters = 0;
  for (const { state } of leaders) {
    const queue = state.groups.get(key);
    waiting += queue?.messages.size ?? 0;
    bytes += queue?.bytes ?? 0;
    if (!state.filters.has(key)) continue;
    for (const s of state.sessions.values()) {
      if (s.connected || !s.subscriptions?.has(key)) continue;
      offlineCount++;
      characters += s.clientId.length;
      if (offline.length < OFFLINE_MAX && characters <= CHARACTERS_MAX) offline.push(s.clientId);
    }
  }
  const members = (group?.members ?? []).map(({ node, connection, underWay, given, busy }) => {
    return { node, connection, underWay, given, busy };
  });
  return { waiting, bytes, offline, offlineCount, members };
}
