import assert from 'node:assert/strict';
import { encodeMeta } from '../../process/member-meta.ts';
import { agentOptions } from './member-hosts.ts';

describe('hosts of members', () => {
  it('are those that the nodes say; a member without one is its own', () => {
    const { hostOf } = agentOptions();
    const node = { storeId: 's', zone: '', weight: 1, mqtt: '', admin: '', leaving: false };
    const meta = encodeMeta({ ...node, host: 'machine-1' });
    assert.equal(hostOf({ name: 'n1', address: 'n1:1', meta }), 'machine-1');
    assert.equal(hostOf({ name: 'n2', address: 'n2:1', meta: Uint8Array.of(1) }), 'n2');
  });
});
