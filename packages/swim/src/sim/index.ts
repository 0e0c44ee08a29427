/**
 * Virtual time and seeded chance, to run whole clusters deterministically in one process.
 *
 * @module
 */
export { Prng } from './prng.ts';
export { type Handle, Scheduler } from './scheduler.ts';
