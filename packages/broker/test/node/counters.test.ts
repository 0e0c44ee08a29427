import assert from 'node:assert/strict';
import { TestNodes } from './nodes.ts';

describe('counters', () => {
  it('tell what is committed, synced and written, and count nothing twice', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    const { commitLatency, fsyncLatency } = core.counters;
    const { entriesCommitted, fsyncs, storeBytesWritten } = core.counters;
    const socket = nodes.accept(core, 5);
    socket.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: true,
      keepalive: 0,
      clientId: 'c',
    });
    nodes.advance(100);
    assert.equal(core.counters.entriesCommitted, entriesCommitted + 1, 'its OPEN');
    assert.equal(commitLatency.count, core.counters.entriesCommitted);
    assert.ok(core.counters.fsyncs > fsyncs);
    assert.equal(fsyncLatency.count, core.counters.fsyncs);
    assert.ok(core.counters.storeBytesWritten > storeBytesWritten + 'c'.length);
  });
});
