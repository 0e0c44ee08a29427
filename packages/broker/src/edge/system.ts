/** The clocks and random numbers that the cores of a process run by. */
export const SYSTEM = {
  /** Monotonic. */
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: Math.random,
} as const;
