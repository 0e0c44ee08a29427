import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { deferred } from '../deferred.ts';
import { DrainingTimers } from './draining-timers.ts';

/** Blocks the event loop, and with it everything in this process. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('DrainingTimers', () => {
  it('reads what came during a stall, and tells of the stall, before a timer fires', async () => {
    const receiver = createSocket('udp4');
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const sender = createSocket('udp4');
    let received = 0;
    receiver.on('message', () => {
      received++;
    });
    const seen: string[] = [];
    const fired = deferred<void>();
    const timers = new DrainingTimers({
      stallThresholdMs: 100,
      received: () => received,
      onTimer: (token) => {
        seen.push(`timer ${token}, ${received} read`);
        if (token === 2) fired.resolve();
      },
      onStall: () => {
        // A busy machine may add stalls of its own.
        if (seen.at(-1) !== 'stall') seen.push('stall');
      },
    });
    timers.set(1, 10);
    timers.set(2, 20);
    // More than one turn of the loop reads.
    for (let n = 0; n < 100; n++) {
      sender.send('x', receiver.address().port, '127.0.0.1');
    }
    await new Promise<void>((resolve) => {
      sender.send('last', receiver.address().port, '127.0.0.1', () => resolve());
      block(500);
    });
    await fired.promise;
    assert.deepEqual(seen, ['stall', 'timer 1, 101 read', 'timer 2, 101 read']);
    timers.close();
    sender.close();
    receiver.close();
  });

  it('fires nothing while held, and all of it after a stall was told', async () => {
    const seen: string[] = [];
    const fired = deferred<void>();
    const timers = new DrainingTimers({
      stallThresholdMs: 100,
      received: () => 0,
      onTimer: (token) => {
        seen.push(`timer ${token}`);
        if (token === 2) fired.resolve();
      },
      onStall: () => {
        // A busy machine may add stalls of its own.
        if (seen.at(-1) !== 'stall') seen.push('stall');
      },
    });
    const marker = deferred<void>();
    timers.hold();
    timers.set(1, 1);
    timers.set(2, 5);
    setTimeout(marker.resolve, 10);
    await marker.promise;
    assert.deepEqual(seen, []);
    timers.resume();
    await fired.promise;
    assert.deepEqual(seen, ['stall', 'timer 1', 'timer 2']);
    timers.close();
  });

  it('fires at once what is overdue when set, without a warning of Node.js', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', onWarning);
    const fired = deferred<number>();
    const timers = new DrainingTimers({
      stallThresholdMs: 100,
      received: () => 0,
      onTimer: fired.resolve,
      onStall: () => {},
    });
    timers.set(1, -0.5);
    assert.equal(await fired.promise, 1);
    process.off('warning', onWarning);
    timers.close();
    assert.deepEqual(warnings, []);
  });

  it('fires nothing once closed', async () => {
    let fired = 0;
    const timers = new DrainingTimers({
      stallThresholdMs: 100,
      received: () => 0,
      onTimer: () => {
        fired++;
      },
      onStall: () => {},
    });
    timers.set(1, 0);
    timers.close();
    const later = deferred<void>();
    setTimeout(later.resolve, 5);
    await later.promise;
    assert.equal(fired, 0);
  });
});
