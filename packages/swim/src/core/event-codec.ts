import { ByteReader, ByteWriter, isWellFormed, MalformedError } from './bytes.ts';
import { NAME_BYTES_MAX } from './message.ts';

/** Something told to every member, as the public door shows it. */
export interface UserEvent {
  /** 1 to 64 bytes of UTF-8. */
  readonly name: string;
  /** At most 512 bytes, opaque here. */
  readonly payload: Uint8Array;
  /** Name of the member that broadcast it. */
  readonly origin: string;
  readonly bootEpoch: number;
  /** Counts the broadcasts of one boot epoch from 1. */
  readonly sequence: number;
  /** How long it has been under way, time on the wire aside. */
  readonly ageMs: number;
}

export const EVENT_NAME_BYTES_MAX = 64;
export const EVENT_PAYLOAD_BYTES_MAX = 512;

/** Whether a name and payload fit into an event. */
export function isEventSized(name: string, payload: Uint8Array): boolean {
  // Of other types there is no size.
  const isEvent: boolean = typeof name === 'string' && payload instanceof Uint8Array;
  if (!isEvent || !isWellFormed(name)) return false;
  const nameBytes = new TextEncoder().encode(name).length;
  return (
    nameBytes >= 1 && nameBytes <= EVENT_NAME_BYTES_MAX && payload.length <= EVENT_PAYLOAD_BYTES_MAX
  );
}

/*
 * One record in the `events` section of a message:
 *
 *   ageMs:4  origin  bootEpoch:8  sequence:8  name  payloadLength:2  payload
 */

export function encodeEvent(event: UserEvent): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(event.ageMs);
  writer.text(event.origin);
  writer.u53(event.bootEpoch);
  writer.u53(event.sequence);
  writer.text(event.name);
  writer.u16(event.payload.length);
  writer.raw(event.payload);
  return writer.done();
}

/** Brings the age of an encoded event up to date. */
export function setEventAge(record: Uint8Array, ageMs: number): void {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  view.setUint32(0, Math.min(0xffff_ffff, Math.round(ageMs)));
}

/** The event in a record; undefined if it is not one. Never throws on any bytes. */
export function decodeEvent(record: Uint8Array): UserEvent | undefined {
  try {
    const reader = new ByteReader(record);
    const ageMs = reader.u32();
    const origin = reader.text(1, NAME_BYTES_MAX);
    const bootEpoch = reader.u53();
    const sequence = reader.u53();
    const name = reader.text(1, EVENT_NAME_BYTES_MAX);
    const length = reader.u16();
    if (length > EVENT_PAYLOAD_BYTES_MAX || length !== reader.remaining) return undefined;
    return { name, payload: reader.raw(length), origin, bootEpoch, sequence, ageMs };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
