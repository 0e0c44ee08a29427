/** TICK, WILL and EXPIRE: the shard's clock goes on, and what its leader saw come due. */
import { str, typed, varint } from '../../fields.ts';
import type { Kind } from './kind.ts';
import { endSession, fireWill } from './open.ts';

export interface Tick {
  readonly type: 'tick';
  readonly elapsedMs: number;
}

export const tick: Kind<Tick> = {
  ...typed<Tick>('tick', { elapsedMs: varint }),

  apply(state, op) {
    state.clockMs += op.elapsedMs;
    return false;
  },
};

/** The Will Delay Interval has passed [MQTT-3.1.3-9]. */
export interface WillDue {
  readonly type: 'will';
  readonly clientId: string;
  readonly birth: number;
}

export const willDue: Kind<WillDue> = {
  ...typed<WillDue>('will', { clientId: str, birth: varint }),

  apply(state, op, index) {
    const s = state.sessions.get(op.clientId);
    if (s?.birth === op.birth && s.willIndex !== 0 && !s.connected) fireWill(state, s, index);
    return false;
  },
};

/** The Session Expiry Interval has passed [MQTT-4.1.0-2]. */
export interface Expire {
  readonly type: 'expire';
  readonly clientId: string;
  readonly birth: number;
}

export const expire: Kind<Expire> = {
  ...typed<Expire>('expire', { clientId: str, birth: varint }),

  apply(state, op, index) {
    const s = state.sessions.get(op.clientId);
    if (s?.birth === op.birth && !s.connected) endSession(state, s, index);
    return false;
  },
};
