/** What a member says of itself, as the bytes that membership carries. */
import type { MemberMeta } from '../../ports.ts';

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
