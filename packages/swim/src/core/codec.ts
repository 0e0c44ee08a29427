import { ByteReader, ByteWriter, MalformedError } from './bytes.ts';
import {
  ADDRESS_BYTES_MAX,
  assertNever,
  type Body,
  type BranchSums,
  CLUSTER_ID_BYTES_MAX,
  EVENT_BYTES_MAX,
  FAN_OUT,
  type Header,
  MEMBER_STATES,
  META_BYTES_MAX,
  type Message,
  NAME_BYTES_MAX,
  type ProbeTarget,
  REFUSAL_REASONS,
  SWIM_MAGIC,
  SWIM_VERSIONS,
  stateRank,
  type Update,
  type VersionRange,
} from './message.ts';

const UNWELL = 0x80;
const REFUSED = 0x40;
/** How many updates and events there are. */
const COUNTS_BYTES = 3;

/*
 * A message, integers big endian, texts after one byte of length:
 *
 *   0x53  version  clusterId  name  bootEpoch:8  type:1  body
 *        count:2  update × count  count:1  (length:2  event) × count
 *
 * An update:
 *
 *   name  bootEpoch:8  incarnation:4  state:1  versionMin:1  versionMax:1  ageS:4  accuser  address
 *        metaLength:2  meta
 *
 * The state's top bit says that the member is unwell, the next one that its host refuses connections.
 */

const TYPES = [
  'ping',
  'ping-req',
  'ack',
  'nack',
  'not-me',
  'gossip',
  'sync',
  'sync-ack',
  'sync-refused',
  'digest',
  'digest-ack',
  'sync-leaves',
  'look',
  'refused',
] as const satisfies readonly Body['type'][];

/** Most updates in one message. */
export const UPDATES_PER_MESSAGE_MAX = 0xffff;
/** Most user events in one message. */
export const EVENTS_PER_MESSAGE_MAX = 0xff;
/** Bytes that one event takes beside its own. */
export const EVENT_PREFIX_BYTES = 2;

/** Why bytes were not a message for us. */
export type DecodeFailure = 'malformed' | 'other-version';

/**
 * A message under way: header and body are written, updates and events are still to be chosen.
 *
 * The caller keeps within the budget of a datagram: `overheadBytes` plus the updates, plus each event with
 * {@link EVENT_PREFIX_BYTES}.
 */
export class MessageWriter {
  /** Bytes that the message takes without any update or event. */
  readonly overheadBytes: number;
  readonly #writer: ByteWriter;

  constructor(header: Header, body: Body) {
    this.#writer = new ByteWriter();
    this.#writer.u8(SWIM_MAGIC);
    this.#writer.u8(header.version);
    this.#writer.text(header.clusterId);
    this.#writer.text(header.name);
    this.#writer.u53(header.bootEpoch);
    this.#writer.u8(TYPES.indexOf(body.type));
    writeBody(this.#writer, body);
    this.overheadBytes = this.#writer.length + COUNTS_BYTES;
  }

  /** The whole message; once. The updates are encoded already. */
  done(updates: readonly Uint8Array[], events: readonly Uint8Array[] = []): Uint8Array {
    const writer = this.#writer;
    writer.u16(updates.length);
    for (const update of updates) writer.raw(update);
    if (events.length > EVENTS_PER_MESSAGE_MAX) throw new RangeError(`${events.length} events`);
    writer.u8(events.length);
    for (const event of events) {
      writer.u16(event.length);
      writer.raw(event);
    }
    return writer.done();
  }
}

/** Bytes of a message whose updates are encoded already. */
export function encodeMessage(
  header: Header,
  body: Body,
  updates: readonly Uint8Array[],
  events: readonly Uint8Array[] = [],
): Uint8Array {
  return new MessageWriter(header, body).done(updates, events);
}

/** Bytes of one update; at most about 1050. */
export function encodeUpdate(update: Update): Uint8Array {
  const writer = new ByteWriter();
  writer.text(update.name);
  writer.u53(update.bootEpoch);
  writer.u32(update.incarnation);
  const flags = (update.unwell ? UNWELL : 0) | (update.refused === true ? REFUSED : 0);
  writer.u8(stateRank(update.state) | flags);
  writer.u8(update.versions.min);
  writer.u8(update.versions.max);
  writer.u32(update.ageS);
  writer.text(update.accuser);
  writer.text(update.address);
  writer.u16(update.meta.length);
  writer.raw(update.meta);
  return writer.done();
}

/**
 * The message in a datagram or stream, or why there is none. Never throws on any bytes.
 *
 * @param versions those understood
 */
export function decodeMessage(
  bytes: Uint8Array,
  versions: VersionRange = SWIM_VERSIONS,
): Message | DecodeFailure {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== SWIM_MAGIC) return 'malformed';
    const version = reader.u8();
    if (version < versions.min || version > versions.max) return 'other-version';
    const header: Header = {
      version,
      clusterId: reader.text(0, CLUSTER_ID_BYTES_MAX),
      name: reader.text(1, NAME_BYTES_MAX),
      bootEpoch: reader.u53(),
    };
    const body = readBody(reader);
    const count = reader.u16();
    const updates: Update[] = [];
    for (let n = 0; n < count; n++) updates.push(readUpdate(reader));
    const events: Uint8Array[] = [];
    for (let left = reader.u8(); left > 0; left--) events.push(readEvent(reader));
    if (reader.remaining > 0) return 'malformed';
    return { header, body, updates, events };
  } catch (error) {
    if (error instanceof MalformedError) return 'malformed';
    throw error;
  }
}

function writeBody(writer: ByteWriter, body: Body): void {
  switch (body.type) {
    case 'ping':
      writer.u32(body.seq);
      writer.u32(body.digest);
      writeTarget(writer, body);
      return;
    case 'ping-req':
      writer.u32(body.seq);
      writer.u32(Math.max(0, Math.round(body.remainingMs)));
      writeTarget(writer, body);
      return;
    case 'ack':
      writer.u32(body.seq);
      writer.u32(body.digest);
      writer.text(body.target);
      return;
    case 'nack':
    case 'not-me':
    case 'refused':
      writer.u32(body.seq);
      writer.text(body.target);
      return;
    case 'look':
      writer.u32(body.seq);
      writeTarget(writer, body);
      return;
    case 'gossip':
    case 'sync':
    case 'sync-ack':
      return;
    case 'sync-refused':
      writer.u8(REFUSAL_REASONS.indexOf(body.reason));
      return;
    case 'digest':
      for (let at = 0; at < FAN_OUT; at++) writer.u32(body.branches[at] as number);
      return;
    case 'digest-ack':
      writer.u8(body.branches.length);
      for (const { branch, sums } of body.branches) {
        writer.u8(branch);
        for (let at = 0; at < FAN_OUT; at++) writer.u32(sums[at] as number);
      }
      return;
    case 'sync-leaves':
      writer.u16(body.leaves.length);
      for (const leaf of body.leaves) writer.u16(leaf);
      return;
    default:
      assertNever(body);
  }
}

function writeTarget(writer: ByteWriter, target: ProbeTarget): void {
  writer.text(target.target);
  writer.u53(target.targetBootEpoch);
  writer.u32(target.targetIncarnation);
}

function readBody(reader: ByteReader): Body {
  const type = TYPES[reader.u8()];
  switch (type) {
    case 'ping': {
      const seq = reader.u32();
      const digest = reader.u32();
      return { type, seq, digest, ...readTarget(reader) };
    }
    case 'ping-req': {
      const seq = reader.u32();
      const remainingMs = reader.u32();
      return { type, seq, remainingMs, ...readTarget(reader) };
    }
    case 'ack': {
      const seq = reader.u32();
      const digest = reader.u32();
      return { type, seq, digest, target: reader.text(1, NAME_BYTES_MAX) };
    }
    case 'nack':
    case 'not-me':
    case 'refused': {
      const seq = reader.u32();
      return { type, seq, target: reader.text(1, NAME_BYTES_MAX) };
    }
    case 'look': {
      const seq = reader.u32();
      return { type, seq, ...readTarget(reader) };
    }
    case 'gossip':
    case 'sync':
    case 'sync-ack':
      return { type };
    case 'sync-refused': {
      const reason = REFUSAL_REASONS[reader.u8()];
      if (reason === undefined) throw new MalformedError('reason');
      return { type, reason };
    }
    case 'digest':
      return { type, branches: readSums(reader) };
    case 'digest-ack': {
      const branches: BranchSums[] = [];
      for (let left = reader.u8(); left > 0; left--) {
        branches.push({ branch: reader.u8() % FAN_OUT, sums: readSums(reader) });
      }
      return { type, branches };
    }
    case 'sync-leaves': {
      const leaves: number[] = [];
      for (let left = reader.u16(); left > 0; left--) leaves.push(reader.u16());
      return { type, leaves };
    }
    case undefined:
      throw new MalformedError('type');
    default:
      return assertNever(type);
  }
}

function readSums(reader: ByteReader): number[] {
  return Array.from({ length: FAN_OUT }, () => reader.u32());
}

function readTarget(reader: ByteReader): ProbeTarget {
  return {
    target: reader.text(1, NAME_BYTES_MAX),
    targetBootEpoch: reader.u53(),
    targetIncarnation: reader.u32(),
  };
}

function readUpdate(reader: ByteReader): Update {
  const name = reader.text(1, NAME_BYTES_MAX);
  const bootEpoch = reader.u53();
  const incarnation = reader.u32();
  const flags = reader.u8();
  const state = MEMBER_STATES[flags & ~(UNWELL | REFUSED)];
  if (state === undefined) throw new MalformedError('state');
  const versions = { min: reader.u8(), max: reader.u8() };
  if (versions.min < 1 || versions.max < versions.min) throw new MalformedError('versions');
  const ageS = reader.u32();
  const accuser = reader.text(0, NAME_BYTES_MAX);
  const address = reader.text(1, ADDRESS_BYTES_MAX);
  const metaLength = reader.u16();
  if (metaLength > META_BYTES_MAX) throw new MalformedError('length of the metadata');
  const meta = reader.raw(metaLength);
  const unwell = (flags & UNWELL) !== 0;
  const said = { name, bootEpoch, incarnation, state, unwell };
  const update = { ...said, versions, ageS, accuser, address, meta };
  return (flags & REFUSED) === 0 ? update : { ...update, refused: true };
}

function readEvent(reader: ByteReader): Uint8Array {
  const length = reader.u16();
  if (length > EVENT_BYTES_MAX) throw new MalformedError('length of an event');
  return reader.raw(length);
}
