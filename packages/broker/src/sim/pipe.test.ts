import assert from 'node:assert/strict';
import { connectedPipe } from '../../test/sim/world.ts';
import type { ClientHandler } from '../ports.ts';

function setup(seed: number) {
  const received: number[] = [];
  const log: string[] = [];
  let kept: Uint8Array | undefined;
  const handler: ClientHandler = {
    onData: (buffer, start, end) => {
      kept ??= buffer.subarray(start, end);
      for (let i = start; i < end; i++) received.push(buffer[i]!);
    },
    onClosed: () => log.push('server closed'),
    onSecond: () => {},
    onDrain: () => log.push('drain'),
  };
  const atClient: number[] = [];
  const { scheduler, host, pipe } = connectedPipe(seed, handler, {
    onData: (bytes) => atClient.push(...bytes),
    onClosed: () => log.push('client closed'),
  });
  return { scheduler, pipe, host, received, atClient, log, kept: () => kept };
}

describe('simulated client connection', () => {
  it('carries bytes both ways in order, however they are split', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { scheduler, pipe, host, received, atClient } = setup(seed);
      const sent = Array.from({ length: 60 }, (_, n) => n);
      for (let n = 0; n < 60; n += 6) {
        pipe.send(Uint8Array.from(sent.slice(n, n + 6)));
        host.run(() => pipe.write(Uint8Array.from(sent.slice(n, n + 6))));
      }
      scheduler.runUntil(100);
      assert.deepEqual(received, sent);
      assert.deepEqual(atClient, sent);
    }
  });

  it('overwrites the static read buffer after the call', () => {
    const { scheduler, pipe, kept } = setup(1);
    pipe.send(Uint8Array.of(1));
    scheduler.runUntil(50);
    assert.deepEqual([...(kept() ?? [])], [0xee]);
  });

  it('keeps order when the client stops reading, and tells of the drain', () => {
    const { scheduler, pipe, host, atClient, log } = setup(3);
    pipe.stalledUntilMs = 500;
    for (let n = 0; n < 3; n++) host.run(() => pipe.write(new Uint8Array(10_000).fill(n)));
    scheduler.runUntil(400);
    assert.equal(atClient.length, 0);
    assert.ok(pipe.pendingBytes > 0);
    pipe.stalledUntilMs = 800;
    host.run(() => pipe.write(Uint8Array.of(9)));
    scheduler.runUntil(2000);
    assert.equal(atClient.length, 30_001);
    assert.equal(atClient.at(-1), 9);
    assert.deepEqual(log, ['drain']);
    assert.equal(pipe.pendingBytes, 0);
  });

  it('hands over nothing while the broker has paused it, then everything in order', () => {
    const { scheduler, pipe, received, log } = setup(7);
    pipe.pause();
    pipe.send(Uint8Array.of(1, 2));
    pipe.send(Uint8Array.of(3));
    pipe.leave(false);
    scheduler.runUntil(100);
    assert.deepEqual(received, []);
    pipe.resume();
    assert.deepEqual(received, [], 'never from within the call that asked');
    scheduler.runUntil(200);
    assert.deepEqual(received, [1, 2, 3]);
    assert.deepEqual(log, ['server closed']);
  });

  it('flushes what was written before close(true), and closes both ends once', () => {
    const { scheduler, pipe, host, atClient, log } = setup(4);
    host.run(() => {
      pipe.write(Uint8Array.of(1, 2, 3));
      pipe.close(true);
      pipe.write(Uint8Array.of(4));
      assert.deepEqual(log, [], 'never from within the call that asked');
    });
    scheduler.runUntil(100);
    assert.deepEqual(atClient, [1, 2, 3]);
    assert.deepEqual(log.sort(), ['client closed', 'server closed']);
  });

  it('leaves the broker in ignorance when the client falls silent', () => {
    const { scheduler, pipe, log } = setup(5);
    pipe.leave(true);
    scheduler.runUntil(10_000);
    assert.deepEqual(log, []);
    assert.equal(pipe.serverOpen, true);
  });

  it('breaks at the client when the process dies', () => {
    const { scheduler, pipe, log } = setup(6);
    pipe.processDied(false);
    scheduler.runUntil(100);
    assert.deepEqual(log, ['client closed']);
  });
});
