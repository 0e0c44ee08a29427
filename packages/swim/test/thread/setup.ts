/** Options that are made in the thread; they count in the memory given to them. */
import type { AgentOptionsOf } from '../../src/thread/messages.ts';

/** What the owner gives: a counter, or why it should fail. */
export type SetupData = { readonly calls: Int32Array } | { readonly refusal: string };

export const agentOptions: AgentOptionsOf = (data: SetupData) => {
  if ('refusal' in data) throw new Error(data.refusal);
  return {
    hostOf: ({ name }) => {
      Atomics.add(data.calls, 0, 1);
      return name;
    },
  };
};
