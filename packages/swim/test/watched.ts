import { swimConfig } from '../src/config.ts';
import type { MemberState, SwimMember } from '../src/core/message.ts';
import type { SwimAgentOptions } from '../src/runtime/agent-options.ts';
import type { SwimHandle } from '../src/runtime/handle.ts';

/** How membership is started: in the main loop or in a thread. */
export type Start = (options: SwimAgentOptions) => Promise<SwimHandle>;

const running = new Set<SwimHandle>();

/** Stops whatever a test left behind. */
export async function stopAll(): Promise<void> {
  for (const agent of running) await agent.stop();
  running.clear();
}

/** A membership whose member list can be awaited. */
export class Watched {
  readonly agent: SwimHandle;
  readonly #watchers: Watchers;

  private constructor(agent: SwimHandle, watchers: Watchers) {
    this.agent = agent;
    this.#watchers = watchers;
  }

  static async start(
    start: Start,
    options: Partial<SwimAgentOptions> & { name: string },
  ): Promise<Watched> {
    const watchers = new Watchers();
    const agent = await start({
      config: swimConfig({}, 'test'),
      bootEpoch: 1,
      clusterId: '',
      listen: '127.0.0.1:0',
      meta: new TextEncoder().encode(options.name),
      ...options,
      onMembers: (members) => watchers.notify(members),
    });
    running.add(agent);
    return new Watched(agent, watchers);
  }

  /** Resolves as soon as the members are in these states; the test's own timeout is the limit. */
  async sees(states: Readonly<Record<string, MemberState>>): Promise<readonly SwimMember[]> {
    return await this.until((members) =>
      Object.entries(states).every(
        ([name, state]) => members.find((member) => member.name === name)?.state === state,
      ),
    );
  }

  /** Resolves as soon as the condition holds. */
  async until(
    condition: (members: readonly SwimMember[]) => boolean,
  ): Promise<readonly SwimMember[]> {
    return await this.#watchers.wait(this.agent.members(), condition);
  }

  /** Calls with the members as they are, and after every change. */
  follow(onMembers: (members: readonly SwimMember[]) => void): void {
    onMembers(this.agent.members());
    this.#watchers.follow(onMembers);
  }

  async stop(): Promise<void> {
    running.delete(this.agent);
    await this.agent.stop();
  }
}

class Watchers {
  readonly #waiting = new Set<(members: readonly SwimMember[]) => void>();

  notify(members: readonly SwimMember[]): void {
    for (const check of this.#waiting) check(members);
  }

  follow(check: (members: readonly SwimMember[]) => void): void {
    this.#waiting.add(check);
  }

  wait(
    members: readonly SwimMember[],
    condition: (members: readonly SwimMember[]) => boolean,
  ): Promise<readonly SwimMember[]> {
    return new Promise((resolve) => {
      const check = (present: readonly SwimMember[]): void => {
        if (!condition(present)) return;
        this.#waiting.delete(check);
        resolve(present);
      };
      this.#waiting.add(check);
      check(members);
    });
  }
}
