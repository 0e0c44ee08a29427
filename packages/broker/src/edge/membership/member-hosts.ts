/** Which nodes share a host, for the stable view: in a module that a thread can import. */
import type { HostOf } from '@shoal/swim';
import { hostOf } from '../../process/member-meta.ts';

export function agentOptions(): { readonly hostOf: HostOf } {
  return { hostOf };
}
