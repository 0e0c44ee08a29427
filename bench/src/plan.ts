/** What is measured, in which order. Pure. */
import { Prng } from '@shoal/swim/sim';
import type { BrokerName } from './brokers/broker.ts';
import type { LoadedBroker, LoadTask, TrafficWindow, Transport } from './load/result.ts';

export const SCENARIO_NAMES = [
  'pair-qos0',
  'pair-qos1',
  'pair-qos2',
  'fanout-qos0',
  'offline-qos1',
  'idle',
  'pair-qos1-tls',
  'pair-qos1-ws',
  'pair-qos1-wss',
  'connects',
  'connects-tls',
  'connects-wss',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** Sizes of a run; `quick` is for trying that all works, not for figures. */
export interface Sizes {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly pairs: number;
  readonly pairRate: number;
  readonly fanout: number;
  readonly fanoutRate: number;
  readonly offlineMessages: number;
  readonly idleSteps: readonly number[];
  readonly settleMaxSeconds: number;
  readonly payloadBytes: number;
}

export const FULL: Sizes = {
  rounds: 3,
  seconds: 4,
  warmUpSeconds: 3,
  pairs: 50,
  pairRate: 5_000,
  fanout: 1_000,
  fanoutRate: 20,
  offlineMessages: 50_000,
  idleSteps: [5_000, 15_000],
  settleMaxSeconds: 60,
  payloadBytes: 100,
};

export const QUICK: Sizes = {
  ...FULL,
  rounds: 1,
  seconds: 1.5,
  warmUpSeconds: 1,
  offlineMessages: 5_000,
  idleSteps: [1_000, 3_000],
  settleMaxSeconds: 15,
};

/** By what the clients of a scenario come. */
export function transportOf(scenario: ScenarioName): Transport {
  const [, transport = 'tcp'] = /-(tls|wss?)$/.exec(scenario) ?? [];
  return transport as Transport;
}

export function taskOf(
  scenario: ScenarioName,
  sizes: Sizes,
  broker: LoadedBroker,
  seed: number,
): LoadTask {
  const common = { ...broker, payloadBytes: sizes.payloadBytes, seed };
  const traffic = { ...common, kind: 'traffic', warmUpSeconds: sizes.warmUpSeconds } as const;
  const pair = { ...traffic, groups: sizes.pairs, subscribers: 1 };
  switch (scenario) {
    case 'pair-qos0':
      return { ...pair, qos: 0, windows: windows(sizes.pairRate, sizes.seconds) };
    case 'pair-qos1':
    case 'pair-qos1-tls':
    case 'pair-qos1-ws':
    case 'pair-qos1-wss':
      return { ...pair, qos: 1, windows: windows(sizes.pairRate, sizes.seconds) };
    case 'pair-qos2':
      return { ...pair, qos: 2, windows: windows(sizes.pairRate, sizes.seconds) };
    case 'fanout-qos0':
      return {
        ...traffic,
        groups: 1,
        subscribers: sizes.fanout,
        qos: 0,
        windows: windows(sizes.fanoutRate, sizes.seconds),
      };
    case 'offline-qos1':
      return {
        ...common,
        kind: 'offline',
        sessions: 10,
        messages: sizes.offlineMessages,
        inFlight: 20,
      };
    case 'connects':
    case 'connects-tls':
    case 'connects-wss':
      return {
        ...common,
        kind: 'connects',
        lanes: 20,
        warmUpSeconds: sizes.warmUpSeconds,
        seconds: sizes.seconds,
      };
    case 'idle':
      return {
        ...common,
        kind: 'idle',
        steps: sizes.idleSteps,
        connectConcurrency: 100,
        settleMaxSeconds: sizes.settleMaxSeconds,
      };
  }
}

function windows(publishesPerSecond: number, seconds: number): TrafficWindow[] {
  return [
    { mode: 'closed', name: 'singles', burst: 1, seconds },
    { mode: 'closed', name: 'bursts of 20', burst: 20, seconds },
    { mode: 'paced', name: `${publishesPerSecond}/s`, publishesPerSecond, seconds },
  ];
}

/** One broker measured once in one scenario. */
export interface Step {
  readonly round: number;
  readonly scenario: ScenarioName;
  readonly broker: BrokerName;
}

/**
 * Interleaves: in every round each scenario visits all brokers one after the other, so that a slow
 * minute of the machine hits all of them. Who comes first changes from round to round, by the seed.
 */
export function interleave(
  rounds: number,
  scenarios: readonly ScenarioName[],
  brokers: readonly BrokerName[],
  seed: number,
): Step[] {
  const first = new Prng(seed).int(0, brokers.length - 1);
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      for (let i = 0; i < brokers.length; i++) {
        const broker = brokers[(first + round + i) % brokers.length] as BrokerName;
        steps.push({ round, scenario, broker });
      }
    }
  }
  return steps;
}
