import assert from 'node:assert/strict';
import { drawOptions } from '../../src/sim/options.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { BUGS, type Bug } from './bugs.ts';
import { referenceFactory } from './reference-broker.ts';
import { ReferenceCluster } from './reference-cluster.ts';

/** Which invariant's checker has to notice. */
const CAUGHT_BY: Readonly<Record<Bug, RegExp>> = {
  'lose message': /^1 /,
  'lose session': /^1 /,
  'duplicate QoS 2': /^2 /,
  reorder: /^7 /,
  'new identifier on resend': /^5 /,
  'reuse identifier': /^5 /,
  'suback before route': /^1 /,
  'unsubscribe ignored': /^6 /,
  'clean start keeps queue': /^6 /,
  'two connections': /^3 /,
  'no fence': /^4 /,
  'will twice': /^8 /,
  'will after disconnect': /^8 /,
  'will never': /^8 /,
  'retained lost': /^9 /,
  'retained differs': /^9 /,
  'puback missing': /^10 /,
  'state differs': /^11 /,
  'commit taken back': /^12 /,
  'copy dropped by a planned change': /^15 /,
  'views without end': /^16 /,
  'copy missing in the end': /^16 /,
  'expired is sent': /^1b /,
  'DUP at first': /^1b /,
  'identifier missing': /^1c /,
  'early bytes dropped': /^1d /,
  'election without a fault': /^13 /,
  'waits while split': /^17 /,
  'lose a message of a group': /^18 /,
  'two members get it': /^18 /,
  'a group out of order': /^18 /,
};

const SEEDS = 40;

function run(seed: number, bug?: Bug) {
  const reference = new ReferenceCluster(bug);
  const sim = new Simulation({
    options: drawOptions(seed),
    factory: referenceFactory(reference),
  });
  reference.clock = () => sim.scheduler.nowMs;
  reference.isSplit = () => sim.splitSinceMs <= sim.scheduler.nowMs;
  return sim.run();
}

describe('simulator: planted bugs', function () {
  this.timeout(120_000);

  it('finds nothing in the reference broker', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations } = run(seed);
      assert.deepEqual(violations, [], `seed ${seed}`);
    }
  });

  for (const bug of BUGS) {
    it(`catches '${bug}' by invariant ${CAUGHT_BY[bug].source.slice(1).trim()}`, () => {
      const seen = new Set<string>();
      for (let seed = 1; seed <= SEEDS; seed++) {
        for (const { invariant } of run(seed, bug).violations) {
          if (CAUGHT_BY[bug].test(invariant)) return;
          seen.add(invariant);
        }
      }
      assert.fail(`not caught in ${SEEDS} seeds; noticed: ${[...seen].join(', ') || 'nothing'}`);
    });
  }

  it('replays a seed bit for bit, and tells seeds apart', () => {
    const hashes = new Set<string>();
    for (let seed = 100; seed < 105; seed++) {
      const first = run(seed);
      const again = run(seed);
      assert.equal(again.traceHash, first.traceHash);
      assert.equal(again.events, first.events);
      assert.deepEqual(again.coverage, first.coverage);
      hashes.add(first.traceHash);
    }
    assert.equal(hashes.size, 5);
  });

  it('writes a readable transcript without changing the history', () => {
    const plain = run(7);
    const reference = new ReferenceCluster();
    const sim = new Simulation({
      options: drawOptions(7),
      factory: referenceFactory(reference),
      transcript: true,
    });
    reference.clock = () => sim.scheduler.nowMs;
    const told = sim.run();
    assert.equal(told.traceHash, plain.traceHash);
    assert.match(told.transcript.join('\n'), /sub0 +CONNECT to n\d/);
  });
});
