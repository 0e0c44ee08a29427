import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import { Wire } from './wire.ts';

/**
 * What two nodes say to each other by way of a third. On the way to it `name` is the receiver, from there on
 * (`final`) the sender.
 */
export type Relayed = { readonly name: string; readonly final: boolean } & (
  | {
      readonly type: 'hello' | 'welcome';
      /** On the way to the third: of the receiving process; from there on, of the sending one. */
      readonly bootEpoch: number;
    }
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  | { readonly type: 'down' }
);

const RELAYED = ['hello', 'welcome', 'frame', 'down'] as const;
/** Of the flags of a relayed message: it has passed the third node. */
const FINAL = 8;

export function writeRelayed(w: Writer, m: Relayed): void {
  w.u8(Wire.Relay);
  w.u8(RELAYED.indexOf(m.type) | (m.final ? FINAL : 0));
  w.str(m.name);
  if (m.type === 'frame') w.bytes(m.frame);
  else if (m.type !== 'down') w.f64(m.bootEpoch);
}

/** @throws BytesError for a type that is not known */
export function readRelayed(r: Reader): Relayed {
  const flags = r.u8();
  const type = RELAYED[flags & ~FINAL];
  const final = (flags & FINAL) !== 0;
  const name = r.str();
  if (type === 'frame') return { type, name, final, frame: r.bytes() };
  if (type === 'down') return { type, name, final };
  if (type === undefined) throw new BytesError(`relayed message of unknown type ${flags}`);
  return { type, name, final, bootEpoch: r.f64() };
}
