/** One of each: what many tests need and change a little. */
import type { MemberInfo, MemberMeta } from '../src/ports.ts';
import type { Message } from '../src/session/message.ts';

export const META: MemberMeta = {
  storeId: 's',
  zone: '',
  host: '',
  weight: 1,
  mqtt: '',
  admin: '',
  leaving: false,
};

/** A member that is alive, in the first process of its name. */
export function member(
  name: string,
  { meta, ...change }: Partial<Omit<MemberInfo, 'meta'>> & { meta?: Partial<MemberMeta> } = {},
): MemberInfo {
  const address = `${name}:1`;
  const own = { name, bootEpoch: 1, state: 'alive', unwell: false, address } as const;
  return { ...own, meta: { ...META, ...meta }, ...change };
}

export const MESSAGE: Message = {
  topic: 't',
  payload: Uint8Array.of(1),
  qos: 1,
  retain: false,
  hlc: 1,
  expiresAtMs: 0,
  properties: new Uint8Array(0),
  publisher: 'p',
};
