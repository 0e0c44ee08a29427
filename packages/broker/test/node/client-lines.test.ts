import assert from 'node:assert/strict';
import { TestNodes } from './nodes.ts';

describe('lines about clients', () => {
  function pair() {
    const nodes = new TestNodes();
    const n1 = nodes.add('n1', { replicas: 2 });
    const n2 = nodes.add('n2', { replicas: 2 });
    nodes.lines.length = 0;
    return { nodes, n1, n2, lines: () => nodes.lines.splice(0) };
  }

  it('tell of one that connects, disconnects, and is lost', () => {
    const { nodes, n1, lines } = pair();
    const a = nodes.connect(n1, { clientId: 'a' });
    nodes.advance(100);
    assert.deepEqual(lines(), [
      'info client connected {"clientId":"a","remote":"test:1","version":5,"sessionPresent":false}',
    ]);
    a.send({ cmd: 'disconnect', reasonCode: 0 });
    assert.deepEqual(lines(), ['info client disconnected {"clientId":"a","remote":"test:1"}']);
    const b = nodes.connect(n1, { clientId: 'b' });
    nodes.advance(100);
    lines();
    b.handler.onClosed();
    assert.deepEqual(lines(), ['info client gone {"clientId":"b","remote":"test:1"}']);
  });

  for (const where of ['n1', 'n2'] as const) {
    it(`tell of one that is taken over by a connection at ${where} both addresses`, () => {
      const { nodes, n1, n2, lines } = pair();
      for (const clientId of ['a', 'b', 'c', 'd']) {
        nodes.connect(n1, { clientId }, 'old:1');
        nodes.advance(100);
        lines();
        nodes.connect(where === 'n1' ? n1 : n2, { clientId }, 'new:2');
        nodes.advance(200);
        const taken = lines().filter((line) => line.startsWith('info client taken over'));
        const fields = { clientId, remote: 'old:1', by: 'new:2', byNode: where };
        assert.deepEqual(taken, [`info client taken over ${JSON.stringify(fields)}`]);
      }
    });
  }

  it('tell of one that is refused, and why', () => {
    const { nodes, n1, lines } = pair();
    const properties = { authenticationMethod: 'SCRAM' };
    nodes.connect(n1, { clientId: 'a', properties });
    assert.match(lines().join(), /info client refused .*"a".*"why":"Bad authentication method"/);
    nodes.accept(n1).send({ cmd: 'pingreq' });
    assert.match(lines().join(), /info client refused .*first packet is no CONNECT/);
  });
});
