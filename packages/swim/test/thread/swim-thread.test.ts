import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { swimConfig } from '../../src/config.ts';
import type { SwimMember } from '../../src/core/message.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import type { SwimAgentOptions } from '../../src/runtime/agent-options.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';
import { stopAll, Watched } from '../watched.ts';
import type { ChildPlan, FromChild, ToChild } from './child.ts';
import type { SetupData } from './setup.ts';

const FOUNDER = {
  config: swimConfig({}, 'test'),
  name: 'a',
  bootEpoch: 1,
  clusterId: 'one',
  listen: '127.0.0.1:0',
  meta: new Uint8Array(),
};
const PROGRAM = new URL('./child.ts', import.meta.url);
const children = new Set<Child>();

/** A member in a process of its own. */
class Child {
  readonly process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.process = process;
  }

  static async start(plan: ChildPlan): Promise<Child> {
    const child = new Child(fork(PROGRAM, [JSON.stringify(plan)]));
    children.add(child);
    await child.hears('started');
    return child;
  }

  async ask(message: ToChild, answer: FromChild['type']): Promise<FromChild> {
    const heard = this.hears(answer);
    this.process.send(message);
    return await heard;
  }

  async hears(type: FromChild['type']): Promise<FromChild> {
    for (;;) {
      const [message] = (await once(this.process, 'message')) as [FromChild];
      if (message.type === type) return message;
    }
  }
}

/** Every state in which `name` was seen, told once each time it changed. */
function historyOf(name: string): {
  readonly states: string[];
  readonly onMembers: (members: readonly SwimMember[]) => void;
} {
  const states: string[] = [];
  const onMembers = (members: readonly SwimMember[]): void => {
    const member = members.find((one) => one.name === name);
    if (member === undefined) return;
    const state = member.unwell ? `${member.state}, unwell` : member.state;
    if (states.at(-1) !== state) states.push(state);
  };
  return { states, onMembers };
}

const isUnwell =
  (name: string, unwell: boolean) =>
  (members: readonly SwimMember[]): boolean =>
    members.some((member) => member.name === name && member.unwell === unwell);

describe('SwimThread', function () {
  this.timeout(30_000);

  const found = () => Watched.start(SwimAgent.start, { name: 'a', clusterId: 'one' });

  afterEach(async () => {
    for (const { process } of children) {
      if (process.exitCode !== null || process.signalCode !== null) continue;
      process.kill('SIGKILL');
      await once(process, 'exit');
    }
    children.clear();
    await stopAll();
  });

  it('answers for a main loop that hangs, and says that it is unwell until it turns again', async () => {
    const a = await found();
    const child = await Child.start({ name: 'c', seeds: [a.agent.address], thread: true });
    await a.sees({ c: 'alive' });
    const { states, onMembers } = historyOf('c');
    a.follow(onMembers);
    await child.ask({ type: 'block', ms: 3_000 }, 'blocked');
    await a.until(isUnwell('c', true));
    await a.until(isUnwell('c', false));
    assert.deepEqual(states, ['alive', 'alive, unwell', 'alive']);
  });

  it('falls silent for a main loop that hangs for too long, and comes back with it', async () => {
    const a = await found();
    const child = await Child.start({
      name: 'c',
      seeds: [a.agent.address],
      thread: true,
      deadAfterMs: 600,
    });
    await a.sees({ c: 'alive' });
    const { states, onMembers } = historyOf('c');
    a.follow(onMembers);
    await child.ask({ type: 'block', ms: 4_000 }, 'blocked');
    await a.sees({ c: 'faulty' });
    assert.equal(states.includes('alive, unwell'), true);
    await a.sees({ c: 'alive' });
    await a.until(isUnwell('c', false));
    const answer = await child.ask({ type: 'counters' }, 'counters');
    // It accused no member of a silence that was its own.
    assert.equal(answer.type === 'counters' && answer.counters.declaredFaulty, 0);
    assert.equal(answer.type === 'counters' && answer.counters.probesFailed, 0);
  });

  it('dies with its process', async () => {
    const a = await found();
    const child = await Child.start({ name: 'c', seeds: [a.agent.address], thread: true });
    await a.sees({ c: 'alive' });
    child.process.kill('SIGKILL');
    await a.sees({ c: 'faulty' });
  });

  for (const thread of [true, false]) {
    it(`keeps no process once stopped (${thread ? 'thread' : 'main loop'})`, async () => {
      const a = await found();
      const child = await Child.start({ name: 'c', seeds: [a.agent.address], thread });
      const exited = once(child.process, 'exit');
      child.process.send({ type: 'stop' } satisfies ToChild);
      assert.deepEqual(await exited, [0, null]);
    });
  }

  it('tells its owner that the thread ended, and those who wait', async () => {
    const failed = Promise.withResolvers<Error>();
    const program = new URL('./crashing.ts', import.meta.url);
    const thread = await SwimThread.start(
      {
        ...FOUNDER,
        onFailure: failed.resolve,
      },
      program,
    );
    const joining = thread.join('127.0.0.1:1');
    await assert.rejects(joining, { code: 'SWIM_ERR_THREAD' });
    const error = await failed.promise;
    assert.match(error.message, /planted/);
    await assert.rejects(thread.join('127.0.0.1:1'), { code: 'SWIM_ERR_STOPPED' });
    await thread.stop();
  });

  it('takes what cannot be passed from a module, which it runs in the thread', async () => {
    const calls = new Int32Array(new SharedArrayBuffer(4));
    const module = new URL('./setup.ts', import.meta.url).href;
    const start = (data: SetupData) => (options: SwimAgentOptions) =>
      SwimThread.start({
        ...options,
        setup: { module, data },
        onFailure: (error) => {
          throw error;
        },
      });
    const a = await Watched.start(start({ calls }), { name: 'a', clusterId: 'one' });
    const b = await Watched.start(SwimAgent.start, { name: 'b', seeds: [a.agent.address] });
    await a.sees({ b: 'alive' });
    await b.stop();
    await a.sees({ b: 'faulty' });
    assert.notEqual(Atomics.load(calls, 0), 0);
    const refused = Watched.start(start({ refusal: 'planted' }), { name: 'c' });
    await assert.rejects(refused, { code: 'SWIM_ERR_THREAD', message: /planted/ });
  });

  it('refuses times that do not fit', async () => {
    const start = (unwellAfterMs: number, deadAfterMs: number) =>
      SwimThread.start({
        ...FOUNDER,
        unwellAfterMs,
        deadAfterMs,
        onFailure: () => {},
      });
    for (const [unwell, dead] of [
      [199, 1_000],
      [600_001, 0],
      [1_000, 1_000],
      [Number.NaN, 0],
    ] as const) {
      await assert.rejects(start(unwell, dead), { code: 'SWIM_ERR_CONFIG' });
    }
  });
});

describe('a process that stalls', function () {
  this.timeout(30_000);

  afterEach(stopAll);

  for (const [how, thread] of [
    ['its main loop is blocked', false],
    ['it is halted, in the main loop', false],
    ['it is halted, with a thread', true],
  ] as const) {
    it(`accuses no member when ${how}, while datagrams wait unread`, async () => {
      const a = await Watched.start(SwimAgent.start, { name: 'a', clusterId: 'one' });
      const seeds = [a.agent.address];
      const b = await Watched.start(SwimAgent.start, { name: 'b', seeds });
      const child = await Child.start({ name: 'c', seeds, thread });
      for (const one of [a, b]) await one.sees({ a: 'alive', b: 'alive', c: 'alive' });
      const before = (await child.ask({ type: 'counters' }, 'counters')) as Extract<
        FromChild,
        { type: 'counters' }
      >;
      if (how.startsWith('its')) {
        await child.ask({ type: 'block', ms: 1_500 }, 'blocked');
        await a.sees({ c: 'faulty' });
      } else {
        child.process.kill('SIGSTOP');
        await a.sees({ c: 'faulty' });
        child.process.kill('SIGCONT');
      }
      await a.sees({ c: 'alive' });
      await b.sees({ c: 'alive' });
      // The answer comes after a round in which it probed both.
      const rounds = before.counters.probes + 4;
      for (;;) {
        const after = await child.ask({ type: 'counters' }, 'counters');
        assert(after.type === 'counters');
        assert.equal(after.counters.probesFailed, before.counters.probesFailed);
        assert.equal(after.counters.declaredFaulty, 0);
        if (after.counters.probes < rounds) continue;
        assert(after.counters.stalls > before.counters.stalls);
        break;
      }
      for (const one of [a, b]) await one.sees({ a: 'alive', b: 'alive' });
      child.process.kill('SIGKILL');
    });
  }
});
