/** One measured window: CPU of both sides and counters, read at its start and at its end only. */
import { readFileSync } from 'node:fs';
import { coresCpuUs, cpuUsOf, processTree } from '../proc/cpu.ts';
import type { Latencies } from '../stats.ts';
import type { Measurement } from './result.ts';

/** The cores that a pinned run uses; who else works on them disturbs it. */
const CORES = [0, 1] as const;

/** Running totals of a load, and the latencies since the last reset. */
export interface LoadCounters {
  readonly published: number;
  readonly delivered: number;
  readonly missing: number;
  readonly latency: Latencies;
}

/**
 * Measures from now until `finished` resolves.
 *
 * The process tree is listed once, before: a broker that starts a process within the window would
 * be measured too low by that process, none does.
 */
export async function measure(
  name: string,
  brokerPid: number,
  counters: LoadCounters,
  finished: () => Promise<void>,
): Promise<Measurement> {
  const pids = processTree(brokerPid);
  counters.latency.reset();
  const before = { published: counters.published, delivered: counters.delivered };
  const missingBefore = counters.missing;
  const brokerBefore = cpuUsOf(pids);
  const loadBefore = process.cpuUsage();
  const coresBefore = coresUs();
  const startMs = performance.now();
  await finished();
  const seconds = (performance.now() - startMs) / 1000;
  const load = process.cpuUsage(loadBefore);
  const loadCpuUs = load.user + load.system;
  const brokerCpuUs = cpuUsOf(pids) - brokerBefore;
  const allCpuUs = coresUs() - coresBefore;
  return {
    name,
    seconds,
    published: counters.published - before.published,
    delivered: counters.delivered - before.delivered,
    missing: counters.missing - missingBefore,
    brokerCpuUs,
    loadCpuUs,
    foreignCpuUs: Math.max(0, allCpuUs - brokerCpuUs - loadCpuUs),
    latencyP50Us: counters.latency.percentileUs(50),
    latencyP99Us: counters.latency.percentileUs(99),
    latencyMaxUs: counters.latency.total === 0 ? null : counters.latency.maxUs,
  };
}

function coresUs(): number {
  return coresCpuUs(readFileSync('/proc/stat', 'latin1'), CORES);
}
