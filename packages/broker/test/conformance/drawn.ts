/** Statements drawn at random by a seed, to be switched off. */
import { MQTT_5, type Statement } from './statements.ts';

/** @returns so many different statements of MQTT 5.0 that bind the server, in the order of the draw */
export function drawn(seed: number, count: number): readonly Statement[] {
  const left = MQTT_5.filter(({ kind }) => kind === 'server');
  let state = seed;
  const next = (below: number) => {
    // Park and Miller's generator.
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  return Array.from({ length: count }, () => left.splice(next(left.length), 1)[0]!);
}
