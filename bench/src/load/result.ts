/** What is asked of the load generator's process, and what it answers: plain data, sent over IPC. */
import type { Qos } from './codec.ts';

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss';

/** The broker as the load generator has to know it. */
export interface LoadedBroker {
  readonly host: string;
  readonly transport: Transport;
  readonly port: number;
  /** The broker's process: its whole tree's CPU time is read around each measured window. */
  readonly brokerPid: number;
}

interface CommonTask extends LoadedBroker {
  readonly payloadBytes: number;
  readonly seed: number;
}

/** Publishers with `subscribers` each on a topic of their own. */
export interface TrafficTask extends CommonTask {
  readonly kind: 'traffic';
  readonly groups: number;
  readonly subscribers: number;
  readonly qos: Qos;
  readonly warmUpSeconds: number;
  /** Measured one after the other on the same connections. */
  readonly windows: readonly TrafficWindow[];
}

export type TrafficWindow =
  | {
      /** The next `burst` messages of a group leave when all of its last ones have arrived. */
      readonly mode: 'closed';
      readonly name: string;
      readonly burst: number;
      readonly seconds: number;
    }
  | {
      /** Messages leave at a fixed rate over all groups, whatever comes back. */
      readonly mode: 'paced';
      readonly name: string;
      readonly publishesPerSecond: number;
      readonly seconds: number;
    };

/** Messages for sessions whose clients are away, then their return. */
export interface OfflineTask extends CommonTask {
  readonly kind: 'offline';
  readonly sessions: number;
  readonly messages: number;
  /** Unacknowledged messages per publisher. */
  readonly inFlight: number;
}

/** Connections with one subscription each that then do nothing. */
export interface IdleTask extends CommonTask {
  readonly kind: 'idle';
  /** Number of connections at each step, growing. */
  readonly steps: readonly number[];
  readonly connectConcurrency: number;
  readonly settleMaxSeconds: number;
}

/** Clients that connect, are answered by CONNACK, and go, over and over. */
export interface ConnectsTask extends CommonTask {
  readonly kind: 'connects';
  readonly lanes: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export type LoadTask = TrafficTask | OfflineTask | IdleTask | ConnectsTask;

/** One measured window. */
export interface Measurement {
  readonly name: string;
  readonly seconds: number;
  readonly published: number;
  readonly delivered: number;
  /** Messages of QoS 0 that never arrived, or messages still missing when it was given up. */
  readonly missing: number;
  readonly brokerCpuUs: number;
  readonly loadCpuUs: number;
  /** Of everybody else on the two cores of the run: other programs, other virtual machines. */
  readonly foreignCpuUs: number;
  readonly latencyP50Us: number | null;
  readonly latencyP99Us: number | null;
  readonly latencyMaxUs: number | null;
}

/** Memory of the broker with a number of idle connections. */
export interface IdleStep {
  readonly connections: number;
  readonly privateBytes: number;
  readonly settled: boolean;
  /** CPU time of the broker per new connection and its subscription. */
  readonly connectCpuUs: number;
}

export type LoadReport =
  | { readonly type: 'done'; readonly measurements: readonly Measurement[] }
  | { readonly type: 'idle'; readonly steps: readonly IdleStep[] }
  | { readonly type: 'failed'; readonly message: string };
