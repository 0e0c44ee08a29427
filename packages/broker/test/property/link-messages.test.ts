import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fixtureNames, fixtureOf } from '../../../swim/test/fixture.ts';
import { Writer } from '../../src/bytes.ts';
import { Lane } from '../../src/node/link/lanes.ts';
import { Wire } from '../../src/node/link/wire.ts';
import { TestNodes } from '../node/nodes.ts';

const LINK = new URL('../fixtures/v1/link-messages.hex', import.meta.url);
const SHARD = new URL('../fixtures/v1/shard-messages.hex', import.meta.url);

/** Every message between nodes, and every message between copies as one of shard 0. */
const messages = [
  ...fixtureNames(LINK).map((name) => fixtureOf(LINK, name)),
  ...fixtureNames(SHARD).map((name) => Buffer.of(Wire.Shard, 0, ...fixtureOf(SHARD, name))),
];

/** A message with up to four bytes changed, mostly to small numbers: kinds, flags, lengths. */
const mutated = fc
  .tuple(
    fc.constantFrom(...messages),
    fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(7), fc.nat(255))), { maxLength: 4 }),
  )
  .map(([message, changes]) => {
    const bytes = Uint8Array.from(message);
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    return bytes;
  });

class Pair {
  readonly nodes = new TestNodes();
  readonly core = this.nodes.add('n1');

  constructor() {
    this.nodes.add('n2');
    this.nodes.mayEnd = true;
  }

  get linked(): boolean {
    return this.nodes.ended.size === 0 && this.core.peers.get('n2')?.up === true;
  }
}

describe('messages between nodes', function () {
  this.timeout(60_000);

  it('end the link at worst, whatever bytes a peer sends', () => {
    let pair = new Pair();
    fc.assert(
      fc.property(mutated, (bytes) => {
        if (!pair.linked) pair = new Pair();
        const frame = new Writer();
        frame.u8(Lane.Bulk);
        frame.f64(1);
        frame.raw(bytes);
        pair.core.links.onFrame('n2', frame.take());
        pair.nodes.settle();
        pair.nodes.advance(20);
        // LaterRun and RunMissing end a node by design: its folder is older than others have seen it.
        for (const [, why] of pair.nodes.ended)
          assert.match(why, /^BROKER_ERR_DATA_(OLDER|SHORT) /);
      }),
      { numRuns: 1000 },
    );
  });
});
