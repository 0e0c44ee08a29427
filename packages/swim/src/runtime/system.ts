import type { Clock, Random } from '../ports.ts';

/** The real clock: monotonic milliseconds since the process began. */
export const systemClock: Clock = () => performance.now();

/** The real source of chance. */
export const systemRandom: Random = () => Math.random();
