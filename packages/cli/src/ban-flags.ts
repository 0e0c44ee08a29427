/** Whom the commands for bans are about. */
import { Flags } from '@oclif/core';
import type { Ban } from '@shoal/broker';

export const banFlags = {
  client: Flags.string({
    description: 'A Client Identifier.',
    helpValue: 'ID',
    exactlyOne: ['client', 'user', 'address'],
  }),
  user: Flags.string({ description: 'A user.', helpValue: 'NAME' }),
  address: Flags.string({ description: 'An IP address.', helpValue: 'IP' }),
};

export function bannedOne(flags: {
  client?: string | undefined;
  user?: string | undefined;
  address?: string | undefined;
}): Pick<Ban, 'kind' | 'value'> {
  const { client, user, address } = flags;
  if (client !== undefined) return { kind: 'client', value: client };
  return user !== undefined ? { kind: 'user', value: user } : { kind: 'address', value: address! };
}
