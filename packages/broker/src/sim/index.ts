/**
 * Whole clusters in one process, in virtual time, from one seed: networks, disks and processes with
 * faults, MQTT clients, and a checker for every invariant.
 *
 * ```ts
 * const result = runSimulation({ options: drawOptions(42), factory: brokerCore });
 * assert.deepEqual(result.violations, []);
 * ```
 *
 * @module
 */
export { brokerCore } from './broker-core.ts';
export { Checker, type World } from './checkers/checker.ts';
export { type ClientEvents, SimClient, type WillWish } from './client.ts';
export type { ClientEnv, ClientOptions } from './client-port.ts';
export type {
  CoreFactory,
  CoreIdentity,
  CoreInspection,
  CoreOptions,
  CoreUnderTest,
  ShardInspection,
  SimNodeEnv,
} from './core-port.ts';
export { Coverage, type CoverageCounts } from './coverage.ts';
export { type DiskOptions, SimDisk } from './disk.ts';
export { FAULTS, type FaultName, PHASES, type PhaseName } from './faults.ts';
export {
  type Connection,
  type Delivery,
  History,
  type HistoryObserver,
  type Message,
  type Receipt,
  type Session,
  type Subscription,
  type Violation,
} from './history.ts';
export { type Cut, type NetworkOptions, SimNetwork } from './network.ts';
export {
  drawOptions,
  type SimOptions,
  type SimOverrides,
  type WorkloadOptions,
} from './options.ts';
export { runSimulation, type SimResult, Simulation } from './simulation.ts';
