import assert from 'node:assert/strict';
import type { SwimMember } from '@shoal/swim';
import { META } from '../../test/samples.ts';
import { encodeMeta } from './member-meta.ts';
import { membersOf, peersOf } from './member-policy.ts';

const meta = { ...META, zone: 'z', host: 'h' };

function member(name: string, state: SwimMember['state'], bytes = encodeMeta(meta)): SwimMember {
  const address = `${name}:7700`;
  return { name, bootEpoch: 1, incarnation: 0, state, address, meta: bytes, unwell: false };
}

const facts = {
  self: 'n1',
  meta: { ...meta, mqtt: 'n1:1883' },
  members: [
    member('n1', 'alive'),
    member('n2', 'suspect'),
    member('n3', 'faulty'),
    member('n4', 'left'),
    member('n5', 'alive', Uint8Array.of(1, 2)),
  ],
  stableView: { number: 3, names: ['n1', 'n2'] },
  diskHangs: false,
};

describe('members as the core takes them', () => {
  it('are those with metadata of this format, with their place in the stable view', () => {
    const seen = membersOf(facts).map(({ name, state, inStableView }) => [
      name,
      state,
      inStableView,
    ]);
    assert.deepEqual(seen, [
      ['n1', 'alive', true],
      ['n2', 'suspect', true],
      ['n3', 'faulty', false],
      ['n4', 'left', false],
    ]);
  });

  it('take of this node what it says now, not what membership still carries', () => {
    assert.equal(membersOf(facts)[0]?.meta.mqtt, 'n1:1883');
  });
});

describe('links', () => {
  const names = (diskHangs: boolean) =>
    peersOf(membersOf(facts), { self: 'n1', diskHangs }).map(({ name }) => name);

  it('are held with every other member that has not left, faulty ones among them', () => {
    assert.deepEqual(names(false), ['n2', 'n3']);
  });

  it('are held with none while the disk hangs', () => {
    assert.deepEqual(names(true), []);
  });
});
