/**
 * A process with one member, that does to itself what its parent says: for tests of stalls, and of ends.
 *
 * Its first argument is the plan, as JSON; it answers over the channel of `fork`.
 */
import { swimConfig } from '../../src/config.ts';
import type { SwimCounters } from '../../src/core/counters.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import type { SwimAgentOptions } from '../../src/runtime/agent-options.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';

/** How the child starts. */
export interface ChildPlan {
  readonly name: string;
  readonly seeds: readonly string[];
  readonly thread: boolean;
  /** With a thread only. */
  readonly unwellAfterMs?: number;
  readonly deadAfterMs?: number;
}

/** What the parent wants. */
export type ToChild =
  /** Blocks the main loop, and everything in it. */
  | { readonly type: 'block'; readonly ms: number }
  | { readonly type: 'counters' }
  /** Stops membership, after which nothing should keep the process. */
  | { readonly type: 'stop' };

/** What the child answers. */
export type FromChild =
  | { readonly type: 'started'; readonly address: string }
  | { readonly type: 'blocked' }
  | { readonly type: 'counters'; readonly counters: SwimCounters; readonly localHealth: number };

const plan = JSON.parse(process.argv[2] as string) as ChildPlan;
const options: SwimAgentOptions = {
  config: swimConfig({}, 'test'),
  name: plan.name,
  bootEpoch: 1,
  clusterId: '',
  listen: '127.0.0.1:0',
  meta: new Uint8Array(),
  seeds: plan.seeds,
};
const { unwellAfterMs = 300, deadAfterMs = 0 } = plan;
const onFailure = (error: Error): void => {
  throw error;
};
const agent = await (plan.thread
  ? SwimThread.start({ ...options, unwellAfterMs, deadAfterMs, onFailure })
  : SwimAgent.start(options));

const tell = (message: FromChild): void => {
  process.send?.(message);
};

process.on('message', (message: ToChild) => {
  if (message.type === 'block') {
    tell({ type: 'blocked' });
    // The answer must have left before.
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, message.ms);
    });
  } else if (message.type === 'counters') {
    tell({ type: 'counters', counters: agent.counters, localHealth: agent.localHealth });
  } else {
    process.disconnect();
    agent.stop().catch(onFailure);
  }
});
tell({ type: 'started', address: agent.address });
