/** Bugs that can be planted; each must be caught by a checker. */
export const BUGS = [
  'lose message',
  'lose session',
  'duplicate QoS 2',
  'reorder',
  'new identifier on resend',
  'reuse identifier',
  'suback before route',
  'unsubscribe ignored',
  'clean start keeps queue',
  'two connections',
  'no fence',
  'will twice',
  'will after disconnect',
  'will never',
  'retained lost',
  'retained differs',
  'puback missing',
  'state differs',
  'commit taken back',
  'copy dropped by a planned change',
  'views without end',
  'copy missing in the end',
] as const;

export type Bug = (typeof BUGS)[number];
