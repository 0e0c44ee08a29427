/** Which nodes share a host, for the stable view: in a module that a thread can import. */
import type { HostOf } from '@shoal/swim';
import { decodeMeta } from './member-meta.ts';

/** By `node.host` of each; a member that is not one of ours is a host of its own. */
export function agentOptions(): { readonly hostOf: HostOf } {
  return { hostOf: ({ name, meta }) => decodeMeta(meta)?.host ?? name };
}
