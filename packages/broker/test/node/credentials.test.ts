import assert from 'node:assert/strict';
import { TestNodes } from './nodes.ts';

describe('credentials that nothing checks', () => {
  it('are told of once, without the password', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    nodes.connect(core, { clientId: 'none' });
    assert.deepEqual(nodes.warnings, []);
    nodes.connect(core, { clientId: 'a', username: 'u', password: Buffer.from('secret') });
    nodes.connect(core, { clientId: 'b', username: 'u', password: Buffer.from('secret') });
    assert.equal(nodes.warnings.length, 1);
    assert.match(nodes.warnings[0]!, /a client gives credentials, and nothing checks them/);
    assert.doesNotMatch(nodes.warnings[0]!, /secret/);
  });
});
