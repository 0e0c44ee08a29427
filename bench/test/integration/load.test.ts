import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { runIdle } from '../../src/load/idle.ts';
import { runOffline } from '../../src/load/offline.ts';
import type { Measurement, TrafficTask } from '../../src/load/result.ts';
import { runTraffic } from '../../src/load/traffic.ts';

/** Drops every n-th message for subscribers; 0 drops none. */
async function startBroker(
  dropEvery = 0,
): Promise<{ broker: Aedes; server: Server; port: number }> {
  let forwarded = 0;
  const broker = await Aedes.createBroker({
    authorizeForward: (_client, packet) => {
      forwarded++;
      return dropEvery > 0 && forwarded % dropEvery === 0 ? null : packet;
    },
  });
  const server = createServer({ noDelay: true }, broker.handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { broker, server, port: (server.address() as AddressInfo).port };
}

const common = (port: number) => ({
  transport: 'tcp' as const,
  host: '127.0.0.1',
  port,
  brokerPid: process.pid,
  payloadBytes: 100,
  seed: 1,
});

const traffic = (port: number, change: Partial<TrafficTask>): TrafficTask => ({
  ...common(port),
  kind: 'traffic',
  groups: 3,
  subscribers: 1,
  qos: 0,
  warmUpSeconds: 0,
  windows: [
    { mode: 'closed', name: 'singles', burst: 1, seconds: 0.1 },
    { mode: 'closed', name: 'bursts', burst: 20, seconds: 0.1 },
    { mode: 'paced', name: 'paced', publishesPerSecond: 200, seconds: 0.1 },
  ],
  ...change,
});

function assertMeasured(measurement: Measurement | undefined): asserts measurement {
  assert.ok(measurement !== undefined);
  assert.ok(measurement.delivered > 0);
  assert.equal(measurement.missing, 0);
  assert.ok(measurement.seconds > 0);
  assert.ok(measurement.brokerCpuUs > 0);
  assert.ok(measurement.loadCpuUs > 0);
}

describe('load generator', () => {
  let running: Awaited<ReturnType<typeof startBroker>>;

  async function start(dropEvery = 0): Promise<number> {
    running = await startBroker(dropEvery);
    return running.port;
  }

  afterEach(async () => {
    await new Promise<void>((resolve) => running.broker.close(() => resolve()));
    await new Promise((resolve) => running.server.close(resolve));
  });

  for (const qos of [0, 1, 2] as const) {
    it(`measures pairs of QoS ${qos} in closed loops and at a fixed rate`, async () => {
      const port = await start();
      const [singles, bursts, paced] = await runTraffic(traffic(port, { qos }));
      assertMeasured(singles);
      assertMeasured(bursts);
      assert.equal(bursts.published % 20, 0, 'bursts leave whole');
      // So few messages may cost the broker less than the kernel's clock shows.
      assert.equal(paced?.published, 20, '200/s in 0.1 s');
      assert.equal(paced.missing, 0);
      assert.ok((singles.latencyP50Us as number) > 0);
      assert.ok((singles.latencyP99Us as number) >= (singles.latencyP50Us as number));
    });
  }

  it('counts every delivery of a fan-out', async () => {
    const port = await start();
    const [singles] = await runTraffic(traffic(port, { groups: 1, subscribers: 40 }));
    assertMeasured(singles);
    // All but the last message have reached all 40 when the window ends.
    assert.ok(singles.delivered >= (singles.published - 1) * 40);
    assert.ok(singles.delivered <= (singles.published + 1) * 40);
  });

  it('counts QoS 0 messages that the broker dropped, and goes on', async () => {
    const port = await start(10);
    const task = traffic(port, {
      windows: [{ mode: 'paced', name: 'paced', publishesPerSecond: 500, seconds: 0.2 }],
    });
    const [paced] = await runTraffic(task);
    assert.ok(paced !== undefined && paced.missing > 0);
    assert.equal(paced.missing, Math.floor(paced.published / 10));
  }).timeout(10_000);

  it('queues for absent sessions and drains them', async () => {
    const port = await start();
    const task = { ...common(port), sessions: 4, messages: 4_000, inFlight: 10 };
    const [enqueue, drain] = await runOffline({ ...task, kind: 'offline' });
    assertMeasured(enqueue);
    assertMeasured(drain);
    assert.equal(enqueue.delivered, 4_000);
    assert.equal(drain.delivered, 4_000);
  });

  it('holds idle connections step by step', async () => {
    const port = await start();
    const steps = await runIdle({
      ...common(port),
      kind: 'idle',
      steps: [5, 20],
      connectConcurrency: 5,
      settleMaxSeconds: 1,
    });
    assert.deepEqual(
      steps.map((step) => step.connections),
      [5, 20],
    );
    assert.ok(steps.every((step) => step.privateBytes > 0));
    assert.equal(running.broker.connectedClients, 20);
  }).timeout(10_000);
});
