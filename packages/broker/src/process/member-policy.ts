import type { StableView, SwimMember } from '@shoal/swim';
import type { LinkPeer, MemberInfo, MemberMeta } from '../ports.ts';
import { decodeMeta } from './member-meta.ts';

/** What membership knows, and what this node knows of itself. */
export interface MemberFacts {
  readonly self: string;
  /** What this member says of itself now; membership may still carry what it said before. */
  readonly meta: MemberMeta;
  readonly members: readonly SwimMember[];
  readonly stableView: StableView;
  /** A write to the disk of this node hangs. */
  readonly diskHangs: boolean;
}

/** Members as the core takes them. One whose metadata has another format is not one of ours. */
export function membersOf({ self, meta, members, stableView }: MemberFacts): MemberInfo[] {
  const names = new Set(stableView.names);
  const infos: MemberInfo[] = [];
  for (const member of members) {
    const { name, bootEpoch, state, unwell, address } = member;
    const said = name === self ? meta : decodeMeta(member.meta);
    if (said === null) continue;
    infos.push({
      name,
      bootEpoch,
      state,
      unwell,
      address,
      inStableView: names.has(name),
      meta: said,
    });
  }
  return infos;
}

/**
 * The members to hold a link with: all that have not left, since a faulty one may be back before membership
 * knows. None while the disk hangs: then the others form views without the copies of this node, as without
 * those of a node that is silent, instead of waiting for what it cannot persist.
 */
export function peersOf(
  infos: readonly MemberInfo[],
  { self, diskHangs }: Pick<MemberFacts, 'self' | 'diskHangs'>,
): LinkPeer[] {
  if (diskHangs) return [];
  return infos
    .filter(({ name, state }) => name !== self && state !== 'left')
    .map(({ name, bootEpoch, address }) => ({ name, bootEpoch, address }));
}
