import type { MemberMeta } from '../ports.ts';

/** Cluster address of a simulated node. */
export function addressOf(name: string): string {
  return `${name}:7000`;
}

export function nameOf(address: string): string {
  return address.slice(0, address.indexOf(':'));
}

export function encodeMeta(meta: MemberMeta): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(meta));
}

export function decodeMeta(bytes: Uint8Array): MemberMeta | undefined {
  return bytes.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(bytes));
}
