/**
 * What the copies of a shard say to each other and how they change, as text: readable, and the same each
 * time.
 *
 * ```
 *    20 ms  n2 → n3  prepare 7@n2              a message arrives; `7@n2` is the view number 7 of n2
 *           n3       promised 7@n2             what changed at n3
 *    40 ms  n2 → n1  prepare 7@n2 (lost)
 * ```
 */
import { assertNever } from '../../src/assert-never.ts';
import { decodeEntry } from '../../src/shard/log.ts';
import type { ShardMessage } from '../../src/shard/message.ts';
import type { Replica } from '../../src/shard/replica.ts';
import { type CopyId, nameOf, type View, type ViewNumber } from '../../src/shard/view.ts';
import { Timeline } from '../golden.ts';
import type { Copies, Machine, Watcher } from './copies.ts';

/** Entries of one message that are named each. */
const NAMED_MAX = 3;

export const numberText = ({ counter, leader }: ViewNumber) => `${counter}@${nameOf(leader)}`;
const number = numberText;
const names = (ids: readonly CopyId[]) => ids.map(nameOf).join(' ');

function view({ number: n, active, voters, oldVoters }: View): string {
  if (n.counter === 0) return 'no view';
  const old = oldVoters.length > 0 ? ` and ${names(oldVoters)}` : '';
  return `${number(n)} of ${names(active)}, voters ${names(voters)}${old}`;
}

type OperationText = (operation: Uint8Array) => string;

function entriesText(list: readonly Uint8Array[], operationText: OperationText): string {
  if (list.length === 0) return 'nothing';
  const named = list.map((bytes) => {
    const { index, operation } = decodeEntry(bytes);
    return `${index} ${operationText(operation)}`;
  });
  return named.length <= NAMED_MAX ? named.join(', ') : `${named[0]} … ${named.at(-1)}`;
}

/** @param operationText what an entry carries, in words */
export function messageText(m: ShardMessage, operationText: OperationText): string {
  const entries = (list: readonly Uint8Array[]) => entriesText(list, operationText);
  switch (m.type) {
    case 'prepare': {
      const handedOver = m.handoverOf.counter > 0 ? `, ${number(m.handoverOf)} is handed over` : '';
      return `prepare ${number(m.number)}${handedOver}`;
    }
    case 'promise': {
      if (!m.granted) return `no promise for ${number(m.number)}`;
      const valid = m.valid ? `log ${m.end}` : 'no valid log';
      return `promise ${number(m.number)}: recorded ${m.view.number.counter === 0 ? 'no view' : number(m.view.number)}, ${valid}`;
    }
    case 'fetch':
      return `fetch after ${m.prev}`;
    case 'fetched':
      return `fetched after ${m.prev}: ${entries(m.entries)}`;
    case 'install':
      return `install ${view(m.view)}; after ${m.prev}: ${entries(m.entries)}`;
    case 'record':
      return `record ${view(m.view)}`;
    case 'installed':
    case 'recorded':
    case 'handover':
    case 'leading':
    case 'not-leading':
    case 'probe':
    case 'broken':
      return `${m.type} ${number(m.number)}`;
    case 'append':
    case 'learn':
      return `${m.type} after ${m.prev}: ${entries(m.entries)}; committed ${m.commit}`;
    case 'appended':
    case 'learned':
      return `${m.type} ${m.index}`;
    case 'refused':
      return `refused ${number(m.number)}: promised ${number(m.promised)}`;
    case 'status':
      return m.valid ? `status: log ${m.end}` : `status: no valid log, entries up to ${m.upto}`;
    case 'snapshot': {
      const state = m.state.length > 0 ? `${m.state.length} bytes of state` : entries(m.entries);
      return `snapshot of ${m.index}, part ${m.seq}: ${state}${m.last ? ', the last' : ''}`;
    }
    case 'snapshotted':
      return `snapshotted part ${m.seq}`;
    case 'short':
      return `short of ${m.index}`;
    default:
      return assertNever(m);
  }
}

/** These logs carry plain text. */
const quoted: OperationText = (operation) => `"${Buffer.from(operation)}"`;

/** What is told of a copy when it changes. */
function stateOf(copy: Replica): Record<string, string> {
  return {
    role: copy.role,
    promised: number(copy.promised),
    view: view(copy.view),
    log: `${copy.log.end}`,
    committed: `${copy.commit}`,
    valid: copy.valid ? 'yes' : 'no',
    rebuilding: copy.loading ? 'yes' : 'no',
    'hands over': copy.handingOver ? 'yes' : 'no',
  };
}

export class Transcript implements Watcher {
  readonly #copies: Copies;
  readonly #timeline: Timeline;
  readonly #states = new Map<CopyId, Record<string, string>>();

  constructor(copies: Copies) {
    this.#copies = copies;
    this.#timeline = new Timeline(() => copies.nowMs, 8);
    copies.watcher = this;
    this.all();
  }

  get text(): string {
    return this.#timeline.text;
  }

  /** What happens from outside. */
  step(what: string): void {
    this.#timeline.step(what);
  }

  /** How each copy that runs stands. */
  all(): void {
    for (const { copy, id, up } of this.#copies.machines.values()) {
      if (!up) continue;
      const state = stateOf(copy);
      this.#states.set(id, state);
      const { role, view: recorded, log, committed } = state;
      this.#timeline.say(nameOf(id), `${role} of ${recorded}; log ${log}, committed ${committed}`);
    }
  }

  onMessage(from: CopyId, to: CopyId, m: ShardMessage, lost: boolean): void {
    this.#timeline.say(
      `${nameOf(from)} → ${nameOf(to)}`,
      `${messageText(m, quoted)}${lost ? ' (lost)' : ''}`,
    );
  }

  onStep({ copy, id }: Machine): void {
    const before = this.#states.get(id) ?? {};
    const now = stateOf(copy);
    this.#states.set(id, now);
    const changes = Object.entries(now).filter(([what, value]) => before[what] !== value);
    if (changes.length === 0) return;
    this.#timeline.say(nameOf(id), changes.map(([what, value]) => `${what} ${value}`).join('; '));
  }
}
