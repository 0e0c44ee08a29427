import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { swimConfig } from '../../src/config.ts';
import type { Refusal } from '../../src/core/event.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import { Remote } from './remote.ts';

/** More connections than the kernel keeps for a listener of Node.js, 511. */
const FLOOD = 700;

/** Two members here and one in a process of its own, on loopback at default settings. */
describe('owners hear that a real process was refused', function () {
  this.timeout(60_000);
  const observers: SwimAgent[] = [];
  let member: Remote;
  let address = '';
  const refusals: {
    readonly observer: string;
    readonly refusal: Refusal;
    readonly atMs: number;
  }[] = [];
  const faulty: string[] = [];
  let changed = (): void => {};

  const until = async (condition: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    changed = () => {
      if (condition()) resolve();
    };
    changed();
    await promise;
  };
  const observe = async (name: string, seeds: readonly string[]): Promise<SwimAgent> => {
    const agent = await SwimAgent.start({
      config: swimConfig(),
      name,
      bootEpoch: 1,
      clusterId: 'c',
      listen: '127.0.0.1:0',
      meta: new Uint8Array(),
      seeds,
      onRefused: (refusal) => {
        refusals.push({ observer: name, refusal, atMs: performance.now() });
        changed();
      },
      onMembers: (members) => {
        for (const { name, state } of members) if (state === 'faulty') faulty.push(name);
        changed();
      },
    });
    observers.push(agent);
    return agent;
  };
  const startMember = (bootEpoch: number, listen: string): void => {
    member = new Remote(['env'], {
      name: 'm',
      bootEpoch,
      clusterId: 'c',
      listen,
      discovery: [],
      seeds: observers.map((each) => each.address),
      preset: 'lan',
    });
  };
  const isSeen = (bootEpoch: number): boolean =>
    observers.every((agent) =>
      agent
        .members()
        .some(
          (each) => each.name === 'm' && each.bootEpoch === bootEpoch && each.state === 'alive',
        ),
    );
  const hint = (): void => {
    for (const agent of observers) agent.probeNow('m');
  };

  beforeEach(async () => {
    const first = await observe('a', []);
    await observe('b', [first.address]);
    startMember(1, '127.0.0.1:0');
    await until(() => isSeen(1));
    address = first.members().find(({ name }) => name === 'm')?.address ?? '';
    refusals.length = 0;
    faulty.length = 0;
  });
  afterEach(async () => {
    await member.stop();
    await Promise.all(observers.splice(0).map(async (agent) => await agent.stop()));
  });

  it('SIGKILL: both in a moment after the hint, while the member is not faulty yet', async () => {
    await member.kill();
    const killedMs = performance.now();
    hint();
    await until(() => new Set(refusals.map(({ observer }) => observer)).size === 2);
    assert.equal(faulty.length, 0);
    assert.ok(refusals.every(({ atMs }) => atMs - killedMs < 500));
    assert.ok(refusals.every(({ refusal }) => refusal.name === 'm' && refusal.bootEpoch === 1));
    await until(() => faulty.includes('m'));
  });

  it('SIGSTOP, with a backlog that overflows: no refusal, and it is not faulty', async () => {
    const sockets: Socket[] = [];
    const [host = '', port = ''] = address.split(':');
    for (let pulse = 0; pulse < 2; pulse++) {
      member.signal('SIGSTOP');
      for (let n = 0; n < FLOOD; n++) {
        sockets.push(connect(Number(port), host).on('error', () => {}));
      }
      for (let n = 0; n < 8; n++) {
        hint();
        await delay(250);
      }
      member.signal('SIGCONT');
      for (const socket of sockets.splice(0)) socket.destroy();
      await until(() => isSeen(1));
    }
    assert.deepEqual(refusals, []);
    assert.deepEqual(faulty, []);
  });

  it('a restart on the same port: only its former life was refused', async () => {
    for (let bootEpoch = 2; bootEpoch < 5; bootEpoch++) {
      await member.kill();
      hint();
      startMember(bootEpoch, address);
      await until(() => isSeen(bootEpoch));
      const lives = refusals.map(({ refusal }) => refusal.bootEpoch);
      assert.ok(lives.every((life) => life < bootEpoch));
    }
    assert.ok(refusals.length > 0);
  });
});
