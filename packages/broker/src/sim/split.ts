/** Cuts that last, after the faults and without any other: who can be served is to be served. */
import { Prng } from '@shoal/swim/sim';
import type { Cut } from './network.ts';

export const SPLIT_SHAPES = [
  // One node does not reach another, or two others, and hears both.
  'one-way',
  'one-way-two',
  // Two nodes do not reach each other; all others reach both.
  'pair',
  'isolate',
  'islands',
  // Two islands, and a node that reaches all of both.
  'bridge',
] as const;

export type SplitShape = (typeof SPLIT_SHAPES)[number];

/** How many runs have one. */
const CHANCE = 0.1;

/** Drawn apart from all else, so that a seed does before it what it did without. */
export function drawSplit(seed: string | number): SplitShape | null {
  const random = new Prng(`${seed}/options/split`);
  return random.chance(CHANCE) ? random.pick(SPLIT_SHAPES) : null;
}

/** @param names at least two, for a bridge three: fewer are not cut */
export function cutsOf(shape: SplitShape, names: readonly string[], random: Prng): Cut[] {
  const [first, ...others] = random.shuffle([...names]);
  if (first === undefined || others.length === 0) return [];
  const cuts: Cut[] = [];
  const both = (as: readonly string[], bs: readonly string[]) => {
    for (const a of as) for (const b of bs) cuts.push({ from: a, to: b }, { from: b, to: a });
  };
  const size = random.int(0, others.length - 1);
  switch (shape) {
    case 'one-way':
    case 'one-way-two':
      for (const to of others.slice(0, shape === 'one-way' ? 1 : 2)) cuts.push({ from: first, to });
      break;
    case 'pair':
      both([first], others.slice(0, 1));
      break;
    case 'isolate':
      both([first], others);
      break;
    case 'islands':
      both([first, ...others.slice(0, size)], others.slice(size));
      break;
    case 'bridge':
      both(others.slice(0, size), others.slice(size));
      break;
  }
  return cuts;
}
