import assert from 'node:assert/strict';
import { SwimAgent, type SwimAgentCounters, swimConfig } from '@shoal/swim';
import { createCounters, LatencyHistogram } from '../../src/counters.ts';
import { BrokerMetrics, METRICS } from '../../src/edge/admin/metrics.ts';
import { SWIM_METRICS } from '../../src/edge/admin/metrics-swim.ts';

describe('BrokerMetrics', () => {
  it('reads the counters at each scrape', async () => {
    const counters = createCounters();
    const metrics = new BrokerMetrics(() => counters, 'n1');
    counters.publishesReceived[1] = 5;
    counters.members.alive = 3;
    const first = await metrics.render();
    assert.match(first, /^shoal_mqtt_publishes_received_total\{qos="1",node="n1"\} 5$/m);
    assert.match(first, /^shoal_members\{state="alive",node="n1"\} 3$/m);
    assert.match(first, /^# TYPE shoal_mqtt_publishes_received_total counter$/m);
    counters.publishesReceived[1] = 9;
    counters.members.alive = 2;
    const second = await metrics.render();
    assert.match(second, /^shoal_mqtt_publishes_received_total\{qos="1",node="n1"\} 9$/m);
    assert.match(second, /^shoal_members\{state="alive",node="n1"\} 2$/m);
  });

  it('prints histograms cumulatively and in seconds', async () => {
    const counters = createCounters();
    for (const durationMs of [0, 0.125, 0.2, 3, 5000]) counters.commitLatency.observe(durationMs);
    const text = await new BrokerMetrics(() => counters, 'n1').render();
    const bucket = (le: string) =>
      Number(
        new RegExp(
          `^shoal_commit_latency_seconds_bucket\\{le="${le.replace('+', '\\+')}",node="n1"\\} (\\d+)$`,
          'm',
        ).exec(text)?.[1],
      );
    assert.equal(bucket('0.000125'), 2);
    assert.equal(bucket('0.00025'), 3);
    assert.equal(bucket('0.002'), 3);
    assert.equal(bucket('0.004'), 4);
    assert.equal(bucket('4.096'), 4);
    assert.equal(bucket('+Inf'), 5);
    assert.match(text, /^shoal_commit_latency_seconds_count\{node="n1"\} 5$/m);
    assert.match(text, /^shoal_commit_latency_seconds_sum\{node="n1"\} 5\.003/m);
    assert.match(text, /^# TYPE shoal_commit_latency_seconds histogram$/m);
  });

  it('prints every metric of the table once, and the process’s own', async () => {
    const text = await new BrokerMetrics(createCounters, 'n1').render();
    for (const { name, type } of [...METRICS, ...SWIM_METRICS]) {
      assert.equal(text.split(`# TYPE ${name} ${type}\n`).length, 2, name);
    }
    assert.match(text, /^process_resident_memory_bytes\{/m);
  });

  it('has a number for every sample of the first scrape', async () => {
    const text = await new BrokerMetrics(createCounters, 'n1').render();
    for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
      const value = Number(line.slice(line.lastIndexOf(' ') + 1));
      assert.ok(!Number.isNaN(value), line);
      if (line.startsWith('nodejs_eventloop')) assert.ok(value < 60, line);
    }
  });

  it('counts CPU from the start of the process, not from the first scrape', async () => {
    const { user, system } = process.cpuUsage();
    const text = await new BrokerMetrics(createCounters, 'n1').render();
    const used = Number(/^process_cpu_seconds_total\{node="n1"\} (\S+)$/m.exec(text)?.[1]);
    assert.ok(used >= (user + system) / 1e6, `${used}`);
  });

  it('names every metric as Prometheus asks', () => {
    const all = [...METRICS, ...SWIM_METRICS];
    for (const { name, type, help } of all) {
      assert.match(name, /^shoal_[a-z0-9_]+$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.match(help, /\.$/);
    }
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
  });

  it('shows every field of the counters', () => {
    const counters = createCounters();
    const read = new Set<string>();
    const spy = new Proxy(counters, {
      get: (target, field: string) => {
        read.add(field);
        return Reflect.get(target, field);
      },
    });
    for (const { read: readMetric } of METRICS) readMetric(spy);
    assert.deepEqual([...read].sort(), Object.keys(counters).sort());
  });

  it('shows every counter of membership, as the agent has it', async () => {
    const agent = await SwimAgent.start({
      config: swimConfig(),
      name: 'n1',
      bootEpoch: 1,
      clusterId: 'c',
      listen: '127.0.0.1:0',
      meta: new Uint8Array(),
    });
    await agent.stop();
    const read = new Set<string>();
    const numbered = Object.keys(agent.counters).map((name, at) => [name, at + 1] as const);
    const counters = new Proxy(Object.fromEntries(numbered) as unknown as SwimAgentCounters, {
      get: (target, name) => {
        read.add(String(name));
        return Reflect.get(target, name);
      },
    });
    const source = { counters, localHealth: 3 };
    const text = await new BrokerMetrics(createCounters, 'n1', () => source).render();
    assert.deepEqual([...read].sort(), numbered.map(([name]) => name).sort());
    assert.match(text, /^shoal_swim_local_health\{node="n1"\} 3$/m);
    const forged = numbered.find(([name]) => name === 'sealForged')?.[1];
    const line = `shoal_swim_refused_total{reason="seal_forged",node="n1"} ${forged}`;
    assert.ok(text.split('\n').includes(line), text);
  });
});

describe('LatencyHistogram', () => {
  it('puts a bound into its own bucket and what is beyond all into the last', () => {
    const histogram = new LatencyHistogram();
    for (const boundMs of LatencyHistogram.boundsMs) histogram.observe(boundMs);
    histogram.observe(1e9);
    assert.deepEqual([...histogram.counts], Array(17).fill(1));
    assert.equal(histogram.count, 17);
  });
});
