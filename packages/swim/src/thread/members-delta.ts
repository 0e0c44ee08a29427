import { isDeepStrictEqual } from 'node:util';
import type { StableView, ViewChange } from '../core/cut-detector.ts';
import type { SwimMember } from '../core/message.ts';

/** What changed between two lists of members. */
export interface MembersDelta {
  readonly changed: readonly SwimMember[];
  readonly removed: readonly string[];
}

/** Differences of two lists sorted by name; undefined if there are none. */
export function diffMembers(
  before: readonly SwimMember[],
  after: readonly SwimMember[],
): MembersDelta | undefined {
  const changed: SwimMember[] = [];
  const removed: string[] = [];
  let at = 0;
  for (const member of after) {
    while (at < before.length && (before[at] as SwimMember).name < member.name) {
      removed.push((before[at] as SwimMember).name);
      at++;
    }
    const old = before[at]?.name === member.name ? before[at] : undefined;
    if (old !== undefined) at++;
    if (!isDeepStrictEqual(old, member)) changed.push(portable(member));
  }
  for (; at < before.length; at++) removed.push((before[at] as SwimMember).name);
  return changed.length + removed.length === 0 ? undefined : { changed, removed };
}

/** The list after a change; members that did not change stay the same objects. */
export function applyDelta(
  before: readonly SwimMember[],
  { changed, removed }: MembersDelta,
): readonly SwimMember[] {
  const gone = new Set(removed);
  const after: SwimMember[] = [];
  let at = 0;
  // Both are sorted: a merge, since a large list changes often and by little.
  for (const member of before) {
    for (; at < changed.length && (changed[at] as SwimMember).name <= member.name; at++) {
      after.push(Object.freeze(changed[at] as SwimMember));
    }
    const isReplaced = at > 0 && changed[at - 1]?.name === member.name;
    if (!isReplaced && !gone.has(member.name)) after.push(member);
  }
  for (const member of changed.slice(at)) after.push(Object.freeze(member));
  return Object.freeze(after);
}

/** All changes between two stable views as one; undefined if it is the same view. */
export function diffViews(before: StableView, after: StableView): ViewChange | undefined {
  if (before.number === after.number) return undefined;
  const [old, now] = [new Set(before.names), new Set(after.names)];
  return {
    number: after.number,
    added: after.names.filter((name) => !old.has(name)),
    removed: before.names.filter((name) => !now.has(name)),
  };
}

/** The stable view after a change. */
export function applyViewChange(before: StableView, change: ViewChange): StableView {
  const names = new Set(before.names);
  for (const name of change.removed) names.delete(name);
  for (const name of change.added) names.add(name);
  return { number: change.number, names: Object.freeze([...names].sort()) };
}

/** A view of a larger buffer would be copied to the other thread with all of it. */
function portable(member: SwimMember): SwimMember {
  const { meta } = member;
  return meta.byteLength === meta.buffer.byteLength ? member : { ...member, meta: meta.slice() };
}
