import assert from 'node:assert/strict';
import { createCounters } from '../../counters.ts';
import {
  CLIENT_ID_LOGGED_MAX,
  CLIENT_LINES_BURST_MAX,
  CLIENT_LINES_PER_SECOND_MAX,
  ClientLog,
} from './client-log.ts';

function setUp() {
  const lines: [string, Record<string, unknown>][] = [];
  const time = { nowMs: 0 };
  const counters = createCounters();
  const log = new ClientLog(counters, {
    log: (_level, message, fields = {}) => lines.push([message, fields]),
    nowMs: () => time.nowMs,
    wallMs: () => time.nowMs,
  });
  const client = (clientId: string) => ({ clientId, version: 5, socket: { remote: '[::1]:7' } });
  return { lines, time, counters, log, client };
}

describe('the log of clients', () => {
  it('has a burst of lines, then so many a second, and counts the others', () => {
    const { lines, time, counters, log, client } = setUp();
    for (let i = 0; i < 1000; i++) log.connected(client('c'), false);
    assert.equal(lines.length, CLIENT_LINES_BURST_MAX);
    log.tick(0);
    log.tick(1000);
    log.tick(1500);
    assert.deepEqual(lines.splice(0).at(-1), [
      'lines about clients left out',
      { lines: 1000 - CLIENT_LINES_BURST_MAX },
    ]);
    assert.equal(counters.connects, 1000);
    time.nowMs = 2000;
    for (let i = 0; i < 1000; i++) log.connected(client('c'), false);
    assert.equal(lines.length, 2 * CLIENT_LINES_PER_SECOND_MAX);
  });

  it('leaves out most of a long Client Identifier', () => {
    const { lines, log, client } = setUp();
    log.lost(client('x'.repeat(65_535)));
    assert.equal(String(lines[0]![1]['clientId']).length, CLIENT_ID_LOGGED_MAX + 1);
  });

  it('has no line for a connection that ends before it says anything', () => {
    const { lines, counters, log, client } = setUp();
    log.lost(client(''));
    assert.deepEqual([lines.length, counters.connectionsLost], [0, 1]);
  });
});
