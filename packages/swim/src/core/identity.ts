import { SWIM_SETTINGS, type SwimConfig } from '../config.ts';
import { SwimError } from '../errors.ts';
import { isWellFormed } from './bytes.ts';
import { CLUSTER_ID_BYTES_MAX, META_BYTES_MAX, NAME_BYTES_MAX } from './message.ts';

const encoder = new TextEncoder();

/** What a process says of itself in every message. */
export interface Identity {
  /** 1 to 128 bytes of UTF-8. */
  readonly name: string;
  /** A safe integer ≥ 0. */
  readonly bootEpoch: number;
  /** 0 to 64 bytes of UTF-8. */
  readonly clusterId: string;
}

/**
 * Refuses at the start values that no message can carry or no peer takes.
 *
 * @throws SwimError SWIM_ERR_CONFIG naming the field and its range
 */
export function checkIdentity({ name, bootEpoch, clusterId }: Identity): void {
  const nameBytes = encoder.encode(name).length;
  if (!isWellFormed(name) || !isWellFormed(clusterId))
    throw refusal('name, clusterId: must be Unicode texts, and have half a surrogate pair');
  if (nameBytes < 1 || nameBytes > NAME_BYTES_MAX)
    throw refusal(`name: must have 1 to ${NAME_BYTES_MAX} bytes, and has ${nameBytes}`);
  const idBytes = encoder.encode(clusterId).length;
  if (idBytes > CLUSTER_ID_BYTES_MAX)
    throw refusal(`clusterId: must have at most ${CLUSTER_ID_BYTES_MAX} bytes, and has ${idBytes}`);
  if (!Number.isSafeInteger(bootEpoch) || bootEpoch < 0)
    throw refusal(`bootEpoch: must be a safe integer of 0 or more, and is ${bootEpoch}`);
}

/**
 * Refuses settings that are not whole: a missing number would be a timer of NaN. Does not check ranges:
 * a wrapper of the core may keep a part of each datagram.
 *
 * @throws SwimError SWIM_ERR_CONFIG naming the setting
 */
export function checkConfig(config: SwimConfig): void {
  for (const [name, setting] of Object.entries(SWIM_SETTINGS)) {
    const value: unknown = config?.[name as keyof SwimConfig];
    const isFit = setting.type === 'boolean' ? typeof value === 'boolean' : Number.isFinite(value);
    if (!isFit) throw refusal(`${name}: is missing; make the configuration by swimConfig`);
  }
}

/** @throws SwimError SWIM_ERR_META_TOO_LARGE, SWIM_ERR_CONFIG */
export function checkMeta(meta: Uint8Array): void {
  if (!(meta instanceof Uint8Array)) throw refusal('meta: must be bytes');
  if (meta.length > META_BYTES_MAX) throw new SwimError('SWIM_ERR_META_TOO_LARGE');
}

/** @throws SwimError SWIM_ERR_CONFIG */
export function checkUnwell(unwell: boolean): void {
  if (typeof unwell !== 'boolean') throw refusal('unwell: must be true or false');
}

function refusal(reason: string): SwimError {
  return new SwimError('SWIM_ERR_CONFIG', reason);
}
