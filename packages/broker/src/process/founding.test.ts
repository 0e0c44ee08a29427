import assert from 'node:assert/strict';
import { bootOrder, foundingIdentity } from './founding.ts';

const fresh = { clusterId: '', shardCount: 0, storeId: 'k3v9' };

describe('founding', () => {
  it('is for a folder of no cluster that is told of no member, again under the same id', () => {
    const { identity, founds } = foundingIdentity(fresh, []);
    assert.equal(founds, true);
    assert.equal(identity.clusterId, 'ck3v9');
    assert.deepEqual(foundingIdentity(fresh, []), { identity, founds });
  });

  it('is not for a node that is told of a member', () => {
    const told = foundingIdentity(fresh, ['127.0.0.1:7700']);
    assert.deepEqual(told, { identity: fresh, founds: false });
  });

  it('happens once: a folder of a cluster goes on with it', () => {
    const held = { clusterId: 'c1', shardCount: 16, storeId: 'k3v9' };
    assert.deepEqual(foundingIdentity(held, []), { identity: held, founds: false });
  });

  it('joins membership before it writes a view, where any other node loads first', () => {
    assert.deepEqual(bootOrder(true), ['join', 'load']);
    assert.deepEqual(bootOrder(false), ['load', 'join']);
  });
});
