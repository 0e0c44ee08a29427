import type { Prng } from '@shoal/swim/sim';

/** What clients may do besides the ordinary, each a named option of its own, drawn as faults are. */
export const BEHAVIOURS = [
  // A publisher at every node, one of them perhaps cut off, publishes at the moment of a SUBACK.
  'race',
  // The lowest free Packet Identifier: that of the exchange that just ended, also after a hop.
  'reuseId',
  // DISCONNECT, and at once CONNECT at another node.
  'hopAtOnce',
  // Another Session Expiry Interval at each connection, 0 among them.
  'changeExpiry',
  // PUBLISH, SUBSCRIBE and DISCONNECT right behind CONNECT, in segments cut anywhere.
  'pipeline',
  // Messages that expire while they wait.
  'expire',
  // PUBLISH or PUBREC again on the same connection.
  'repeat',
  // Overlapping filters of different QoS with Subscription Identifiers.
  'overlap',
  // Now and then a burst of large messages.
  'large',
  // Members of a Shared Subscription, with stored sessions and without, over all nodes.
  'share',
] as const;

export type BehaviourName = (typeof BEHAVIOURS)[number];

const CHANCE: Readonly<Record<BehaviourName, number>> = {
  race: 0.3,
  reuseId: 0.3,
  hopAtOnce: 0.25,
  changeExpiry: 0.2,
  pipeline: 0.2,
  expire: 0.2,
  repeat: 0.2,
  overlap: 0.2,
  large: 0.06,
  share: 0.3,
};

export function drawBehaviours(random: Prng): BehaviourName[] {
  return BEHAVIOURS.filter((name) => random.chance(CHANCE[name]));
}
