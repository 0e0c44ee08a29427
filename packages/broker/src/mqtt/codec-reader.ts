import { TextRule } from '../config-text-rule.ts';
import { MalformedPacket } from './packet-error.ts';
import { ReasonCode } from './reason-code.ts';

/** Buffer's slice methods work on any Uint8Array and copy straight into a string. */
const latin1Slice = (
  Buffer.prototype as unknown as { latin1Slice(start: number, end: number): string }
).latin1Slice;

/** Keeps a byte order mark as U+FEFF [MQTT-1.5.4-3]; refuses surrogates [MQTT-1.5.4-1]. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Control characters and non-characters: allowed by the standard, and advised against. */
const ODD = /[\p{Cc}\p{NChar}]/u;

/** Whether a string has none of them. */
export function isPlain(text: string): boolean {
  return !ODD.test(text);
}

/** ASCII bytes as a string, with no check. */
export function asciiString(buf: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(buf, start, end);
}

/** UTF-8 bytes as a string, or undefined where they are ill-formed; U+0000 passes. */
export function utf8String(buf: Uint8Array, start: number, end: number): string | undefined {
  try {
    return utf8.decode(buf.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** Whether a payload is what a Payload Format Indicator of 1 says. */
export function isUtf8(payload: Uint8Array): boolean {
  return utf8String(payload, 0, payload.length) !== undefined;
}

/**
 * Reads the fields of §1.5 from one packet, never beyond `end`.
 *
 * Every method throws {@link MalformedPacket} (0x81) where the packet ends too early. Byte fields
 * come out as copies, so that a decoded packet never refers to the listener's read buffer.
 */
export class PacketReader {
  readonly buf: Uint8Array;
  pos: number;
  end: number;
  /** What a failure reports, so that a refusal is sent in the version of its CONNECT. */
  version = 4;
  /** Where strings may have control characters and non-characters. */
  text: TextRule = TextRule.Any;

  constructor(buf: Uint8Array, start: number, end: number) {
    this.buf = buf;
    this.pos = start;
    this.end = end;
  }

  fail(reasonCode: number, message: string): MalformedPacket {
    return new MalformedPacket(reasonCode, message, this.version);
  }

  malformed(message: string): MalformedPacket {
    return this.fail(ReasonCode.MalformedPacket, message);
  }

  protocolError(message: string): MalformedPacket {
    return this.fail(ReasonCode.ProtocolError, message);
  }

  get remaining(): number {
    return this.end - this.pos;
  }

  #take(bytes: number): number {
    const at = this.pos;
    if (bytes > this.end - at) throw this.malformed('packet ends within a field');
    this.pos = at + bytes;
    return at;
  }

  byte(): number {
    return this.buf[this.#take(1)]!;
  }

  uint16(): number {
    const at = this.#take(2);
    return (this.buf[at]! << 8) | this.buf[at + 1]!;
  }

  uint32(): number {
    const high = this.uint16();
    return high * 65536 + this.uint16();
  }

  /** Variable Byte Integer (§1.5.5), 0 to 268,435,455, in its shortest form [MQTT-1.5.5-1]. */
  variableByteInteger(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw this.malformed('variable byte integer not minimal');
        return value;
      }
    }
    throw this.malformed('variable byte integer longer than four bytes');
  }

  /** UTF-8 Encoded String (§1.5.4). */
  string(): string {
    const text = this.#string();
    if (this.text === TextRule.Plain) this.#mustBePlain(text);
    return text;
  }

  /** A string that is a Topic Name or Topic Filter. */
  name(): string {
    const text = this.#string();
    if (this.text !== TextRule.Any) this.#mustBePlain(text);
    return text;
  }

  clientId(): string {
    const text = this.#string();
    if (this.text !== TextRule.Plain || isPlain(text)) return text;
    throw this.fail(ReasonCode.ClientIdentifierNotValid, 'Client Identifier with odd characters');
  }

  #mustBePlain(text: string): void {
    if (!isPlain(text)) throw this.malformed('string with control or non-characters');
  }

  #string(): string {
    const bytes = this.uint16();
    const start = this.#take(bytes);
    const end = this.pos;
    let ascii = true;
    for (let i = start; i < end; i++) {
      const byte = this.buf[i]!;
      if (byte === 0) throw this.malformed('string contains U+0000'); // [MQTT-1.5.4-2]
      if (byte >= 0x80) ascii = false;
    }
    if (ascii) return asciiString(this.buf, start, end);
    const text = utf8String(this.buf, start, end);
    if (text === undefined) throw this.malformed('string is not well-formed UTF-8');
    return text;
  }

  /** Binary Data (§1.5.6), copied. */
  binary(): Uint8Array {
    const bytes = this.uint16();
    const start = this.#take(bytes);
    return new Uint8Array(this.buf.subarray(start, start + bytes));
  }

  expectEnd(): void {
    if (this.pos !== this.end) throw this.malformed('bytes left after the last field');
  }
}
