/** A source of chance: uniform in [0, 1). */
export type Random = () => number;

/** Monotonic milliseconds; may have a fraction, never steps back. */
export type Clock = () => number;

/** Where the runtime writes what an operator may want to know. */
export type SwimLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;
