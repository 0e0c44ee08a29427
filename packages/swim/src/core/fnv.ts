/** FNV-1a in 32 bits: small, and equal on every machine. For spreading and comparing, never for secrets. */
export const FNV_BASIS = 0x811c9dc5;

/** One more unit into a hash. */
export function fnvStep(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

/** Over UTF-16 code units; a signed 32-bit number. */
export function fnv1a(text: string, basis: number = FNV_BASIS): number {
  let hash = basis | 0;
  for (let at = 0; at < text.length; at++) hash = fnvStep(hash, text.charCodeAt(at));
  return hash;
}
