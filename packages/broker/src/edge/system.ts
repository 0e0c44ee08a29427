/** What the cores of a process run by: clocks, random numbers, and a check of passwords. */
import { Passwords } from './access/passwords.ts';

export const SYSTEM = {
  /** Monotonic. */
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: Math.random,
  passwords: new Passwords(),
} as const;
