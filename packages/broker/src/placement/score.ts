import { hash32, mix32 } from './hash.ts';

/** Seeds of the two independent hashes of a member's name. */
const SEED_HIGH = 0x53484f41;
const SEED_LOW = 0x4c303031;
/** An odd constant that spreads consecutive shard numbers over 32 bits (2^32 / golden ratio). */
const SHARD_SPREAD = 0x9e3779b9;

/** The hashes of a member's name, from which its score for every shard follows. */
export interface NameHash {
  readonly high: number;
  readonly low: number;
}

export function nameHash(name: string): NameHash {
  return { high: hash32(name, SEED_HIGH), low: hash32(name, SEED_LOW) };
}

/**
 * Weighted rendezvous score −w / ln u of one member for one shard, u uniform in (0, 1) by hash: the
 * member with the highest score of all is any given one with a probability proportional to its
 * weight, and a member's score depends on no other member.
 *
 * @param weight > 0
 * @returns > 0; equal for equal arguments on every machine
 * @see Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005)
 */
export function score(name: NameHash, shard: number, weight: number): number {
  const spread = Math.imul(shard + 1, SHARD_SPREAD);
  const high = mix32(name.high ^ mix32(spread ^ name.low));
  const low = mix32(name.low ^ mix32(spread + name.high));
  return weight / negativeLog(high, low);
}

/**
 * −ln u for u = (high · 2^20 + (low's upper 20 bits) + 0.5) / 2^52.
 *
 * Written with + − × ÷ only, which ECMAScript defines to the bit: Math.log may differ between
 * engines, and then two nodes could disagree about a table.
 */
function negativeLog(high: number, low: number): number {
  let mantissa = high * 0x100000 + (low >>> 12) + 0.5;
  let exponent = 52;
  // Exact: halving and doubling only change the exponent of a double.
  while (mantissa >= 4294967296) {
    mantissa /= 4294967296;
    exponent -= 32;
  }
  while (mantissa >= 2) {
    mantissa /= 2;
    exponent--;
  }
  while (mantissa < 1) {
    mantissa *= 2;
    exponent++;
  }
  // ln m = 2 artanh((m − 1) / (m + 1)) with 1 ≤ m < 2, so the series shrinks ninefold per term.
  const z = (mantissa - 1) / (mantissa + 1);
  const square = z * z;
  let series = 0;
  for (let n = 21; n >= 1; n -= 2) series = series * square + 1 / n;
  // The series is good to 1e-12; nearer to u = 1 than that, cancellation must not reach zero.
  return Math.max(1e-12, exponent * Math.LN2 - 2 * z * series);
}
