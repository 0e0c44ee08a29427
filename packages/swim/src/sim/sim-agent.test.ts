import assert from 'node:assert/strict';
import { swimConfig } from '../config.ts';
import { Fleet } from './experiments/fleet.ts';

/** Ten members that know each other; verdicts of faulty are counted. */
function fleetOf(seed: string, timerLateMaxMs?: ReadonlyMap<number, number>) {
  const late = timerLateMaxMs === undefined ? {} : { timerLateMaxMs };
  const fleet = new Fleet({ size: 10, seed, config: swimConfig(), ...late });
  const faulty: string[] = [];
  fleet.onState = (observer, member, state) => {
    if (state === 'faulty') faulty.push(`${observer} of ${member}`);
  };
  return { fleet, faulty };
}

describe('faults of a process', function () {
  this.timeout(20_000);

  it('late timers: it notices its stalls, accuses no member and is not accused', () => {
    const { fleet, faulty } = fleetOf(
      'late',
      new Map([
        [0, 400],
        [1, 80],
      ]),
    );
    fleet.run(60_000);
    assert.deepEqual(faulty, []);
    assert.ok(fleet.agent(0).swim.counters.stalls > 10);
    assert.equal(fleet.agent(1).swim.counters.stalls, 0);
  });

  it('a clock that leaps forward: one stall, and no member is accused', () => {
    const { fleet, faulty } = fleetOf('leap');
    fleet.run(5_000);
    fleet.crash(9);
    fleet.run(500);
    for (let number = 0; number < 4; number++) fleet.agent(number).leapClock(30_000);
    fleet.run(10_000);
    assert.equal(faulty.length, 9);
    assert.ok(faulty.every((line) => line.endsWith(' of 9')));
    assert.equal(fleet.agent(0).swim.counters.stalls, 1);
  });

  it('a pause: what waits is read one by one, and what comes meanwhile behind it', () => {
    const { fleet, faulty } = fleetOf('pause');
    fleet.run(2_000);
    for (let round = 0; round < 5; round++) {
      fleet.agent(3).pause();
      fleet.run(600);
      fleet.agent(3).resume();
      fleet.run(400);
    }
    assert.deepEqual(faulty, []);
    assert.ok(fleet.agent(3).swim.counters.stalls >= 3);
  });

  it('sends that block: each loop runs on until it wants to send, and what it wants to send goes afterwards', () => {
    const { fleet } = fleetOf('blocked');
    fleet.run(2_000);
    const agent = fleet.agent(3);
    const { probes } = agent.swim.counters;
    agent.pause(({ kind }) => (kind === 'period' ? 'probing' : undefined));
    const sent = fleet.network.counters.sent;
    for (let number = 0; number < 10; number++) if (number !== 3) fleet.crash(number);
    fleet.run(5_000);
    // It has begun one probe, whose ping it could not send.
    assert.equal(agent.swim.counters.probes, probes + 1);
    assert.equal(fleet.network.counters.sent, sent);
    agent.resume();
    assert.ok(fleet.network.counters.sent > sent);
  });
});
