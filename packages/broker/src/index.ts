/** The public door of the broker. */
export type * from './ports.ts';
