import assert from 'node:assert/strict';
import { bootOrder, foundingIdentity } from './founding.ts';

const random = () => 0.5;
const fresh = { clusterId: '', shardCount: 0 };

describe('founding', () => {
  it('is for a folder of no cluster that is told of no member', () => {
    const { identity, founds } = foundingIdentity(fresh, [], random);
    assert.equal(founds, true);
    assert.match(identity.clusterId, /^[0-9a-z]{16}$/);
  });

  it('is not for a node that is told of a member', () => {
    const told = foundingIdentity(fresh, ['127.0.0.1:7700'], random);
    assert.deepEqual(told, { identity: fresh, founds: false });
  });

  it('happens once: a folder of a cluster goes on with it', () => {
    const held = { clusterId: 'c1', shardCount: 16 };
    assert.deepEqual(foundingIdentity(held, [], random), { identity: held, founds: false });
  });

  it('joins membership before it writes a view, where any other node loads first', () => {
    assert.deepEqual(bootOrder(true), ['join', 'load']);
    assert.deepEqual(bootOrder(false), ['load', 'join']);
  });
});
