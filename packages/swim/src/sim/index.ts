/**
 * Virtual time, seeded chance and a faulty network, to run whole clusters deterministically in one
 * process.
 *
 * @module
 */
export { FNV_BASIS, fnv1a, fnvStep } from '../core/fnv.ts';
export {
  type RunnerHost,
  type RunnerTransport,
  SwimRunner,
} from '../runner.ts';
export { Network, type NetworkFaults, NO_FAULTS } from './network.ts';
export { Prng } from './prng.ts';
export { type Handle, Scheduler } from './scheduler.ts';
export { SimAgent, type SimAgentCallbacks } from './sim-agent.ts';
