import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { whyUnreachable } from './reach.ts';

describe('whyUnreachable', () => {
  it('is silent of an address that takes connections, and tells of one that has stopped', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
    assert.equal(await whyUnreachable(address), '');
    server.close();
    await once(server, 'close');
    assert.equal(await whyUnreachable(address), 'nothing listens there (connection refused)');
  });

  it('says what is wrong with what is no address', async () => {
    assert.notEqual(await whyUnreachable('nowhere'), '');
  });
});
