/** OPEN and CLOSE: a connection takes a session over, and ends; the end of a session, and its Will. */
import { bool, f64, optional, str, typed, u8, varint } from '../../fields.ts';
import { type Will, will } from '../message.ts';
import { resumeRetained } from '../retaining-state.ts';
import { NEVER_EXPIRES, Session } from '../session.ts';
import type { Kind, State } from './kind.ts';

/** Positions that a new connection may be sent before the next ASSIGN commits. */
export const ASSIGN_AHEAD = 1024;

export interface Open {
  readonly type: 'open';
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Clock of the gateway at the CONNECT: one that arrives after a later one is stale. */
  readonly hlc: number;
  readonly expirySeconds: number;
  readonly gateway: string;
  readonly gatewayEpoch: number;
  readonly connection: number;
  readonly version: number;
  /** Who opens it; '' for a client without a name. */
  readonly user: string;
  /** First queue position never sent on an earlier connection, −1 if the leader cannot know. */
  readonly sentUpto: number;
  readonly will: Will | null;
}

export const open: Kind<Open> = {
  ...typed<Open>('open', {
    clientId: str,
    cleanStart: bool,
    hlc: f64,
    expirySeconds: varint,
    gateway: str,
    gatewayEpoch: varint,
    connection: varint,
    version: u8,
    user: str,
    sentUpto: optional,
    will,
  }),

  apply(state, op, index) {
    let s = state.sessions.get(op.clientId);
    if (s?.connected) state.observer?.onClosed(s);
    if (s) takeOver(state, s, op, index);
    // [MQTT-3.1.2-4]
    if (s && (op.cleanStart || !s.persistent)) {
      if (op.sentUpto >= 0) s.mark = Math.min(s.mark, Math.max(op.sentUpto, s.dupBelow));
      endSession(state, s, index);
      s = undefined;
    }
    const present = s !== undefined;
    if (!s) {
      s = new Session(op.clientId, index);
      state.sessions.set(op.clientId, s);
    }
    state.dated.delete(s);
    s.epoch = index;
    s.openedHlc = op.hlc;
    s.gateway = op.gateway;
    s.gatewayEpoch = op.gatewayEpoch;
    s.connection = op.connection;
    s.present = present;
    s.version = op.version;
    s.user = op.user;
    s.expirySeconds = op.expirySeconds;
    s.expiresAtMs = 0;
    resumeRetained(s);
    const sent = op.sentUpto >= 0 ? Math.min(op.sentUpto, s.mark) : s.mark;
    s.dupBelow = Math.min(s.tail, Math.max(s.dupBelow, sent));
    s.mark = s.tail + ASSIGN_AHEAD;
    if (!op.will) return false;
    s.willIndex = index;
    s.willDelayMs = op.will.delaySeconds * 1000;
    return true;
  },
};

/**
 * The will of the connection or pause before: a resume within the delay cancels it, and so does any
 * connection of a client that a stopping server sent away; otherwise it is sent [MQTT-3.1.3-9, §3.1.3.2.2].
 */
function takeOver(state: State, s: Session, op: Open, index: number): void {
  if (s.willIndex === 0) return;
  const resumes = !op.cleanStart && s.persistent && s.willDelayMs > 0;
  if (resumes || s.graced) dropWill(state, s);
  else fireWill(state, s, index);
}

export interface Close {
  readonly type: 'close';
  readonly clientId: string;
  readonly epoch: number;
  readonly abnormal: boolean;
  /** The server ended the connection: its Will is held for so long, should the client be back. */
  readonly graceMs: number;
  /** From DISCONNECT; −1 = as it was. */
  readonly expirySeconds: number;
  readonly sentUpto: number;
  /** Time since the shard's last tick: deadlines count from now. */
  readonly elapsedMs: number;
}

export const close: Kind<Close> = {
  ...typed<Close>('close', {
    clientId: str,
    epoch: varint,
    abnormal: bool,
    graceMs: varint,
    expirySeconds: optional,
    sentUpto: optional,
    elapsedMs: varint,
  }),

  apply(state, op, index) {
    state.clockMs += op.elapsedMs;
    const s = state.current(op.clientId, op.epoch);
    if (s?.connected) endConnection(state, s, op, index);
    return false;
  },
};

function endConnection(state: State, s: Session, op: Close, index: number): void {
  s.connection = 0;
  s.gateway = '';
  state.observer?.onClosed(s);
  if (op.sentUpto >= 0) s.mark = Math.min(s.mark, Math.max(op.sentUpto, s.dupBelow));
  if (op.expirySeconds >= 0) s.expirySeconds = op.expirySeconds;
  if (s.willIndex !== 0) holdWill(state, s, op, index);
  if (s.persistent) {
    if (s.expirySeconds !== NEVER_EXPIRES) s.expiresAtMs = state.clockMs + s.expirySeconds * 1000;
  } else if (s.graced) s.expiresAtMs = s.willAtMs;
  else return endSession(state, s, index);
  if (s.expiresAtMs > 0 || s.willAtMs > 0) state.dated.add(s);
}

/** The connection has ended: its Will is dropped [MQTT-3.14.4-3], sent, or held for its delay. */
function holdWill(state: State, s: Session, op: Close, index: number): void {
  if (!op.abnormal) return dropWill(state, s);
  const delayMs = s.persistent ? s.willDelayMs : 0;
  s.graced = op.graceMs > delayMs;
  const heldMs = Math.max(delayMs, op.graceMs);
  if (heldMs === 0) fireWill(state, s, index);
  else s.willAtMs = state.clockMs + heldMs;
}

/** The session is over: its will is sent if pending, everything it refers to is released. */
export function endSession(state: State, s: Session, index: number): void {
  if (s.willIndex !== 0) fireWill(state, s, index);
  for (let p = s.first; p < s.tail; p = s.unsettledFrom(p + 1)) {
    const ref = s.refAt(p);
    const group = state.given.get(ref);
    // What may have been sent ends with the session [MQTT-4.8.2-5].
    if (group !== undefined && p >= s.mark) state.giveBack(ref, s.bytesAt(p), group);
    else state.unqueue(ref, s.bytesAt(p));
  }
  for (const sub of s.subscriptions?.values() ?? []) {
    state.bytes.addFilter(-sub.filter.length);
    state.removeSubscription(sub);
  }
  state.sessions.delete(s.clientId);
  state.dated.delete(s);
  state.observer?.onEnded(s);
}

function dropWill(state: State, s: Session): void {
  state.references.release(s.willIndex);
  s.forgetWill();
}

/** From now on the shard's leader owes the Will Message; `index` gives it its identity. */
export function fireWill(state: State, s: Session, index: number): void {
  // Two wills may fire in one entry only if a session ends that has one: it has but one.
  state.owe(index, { messageIndex: s.willIndex, will: true });
  s.forgetWill();
}
