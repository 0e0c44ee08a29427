/** What a member says of itself, as the bytes that membership carries. */
import type { HostOf } from '@shoal/swim';
import type { MemberMeta } from '../ports.ts';

export function encodeMeta(meta: MemberMeta): Uint8Array {
  const { storeId, zone, host, weight, mqtt, admin, leaving } = meta;
  return Buffer.from(
    JSON.stringify([1, storeId, zone, host, weight, mqtt, admin, leaving ? 1 : 0]),
  );
}

/** @returns null for bytes of another format: such a member is not one of ours */
export function decodeMeta(bytes: Uint8Array): MemberMeta | null {
  try {
    const [version, storeId, zone, host, weight, mqtt, admin, leaving] = JSON.parse(
      Buffer.from(bytes).toString(),
    ) as [number, string, string, string, number, string, string, number];
    if (version !== 1) return null;
    return { storeId, zone, host, weight, mqtt, admin, leaving: leaving === 1 };
  } catch {
    return null;
  }
}

/** Which members share a host: by `node.host` of each. A member that is not one of ours is a host of its own. */
export const hostOf: HostOf = ({ name, meta }) => decodeMeta(meta)?.host ?? name;
