/** One copy step by step: the others of its shard are what the test says in their name. */
import assert from 'node:assert/strict';
import type { ShardMessage } from '../../src/shard/message.ts';
import type { CopyId, View, ViewNumber } from '../../src/shard/view.ts';
import { Copies, IDS, type Machine, N1, N2, N3, numberOf, viewOf } from './copies.ts';

type Of<T extends ShardMessage['type']> = ShardMessage & { type: T };

/** The view that all have recorded before: its leader is gone. */
export const OLD = numberOf(5);

/** Copies that hold `entries` of view 5; from now on no message arrives but what a test hands over. */
export function begun(
  view: View = viewOf(OLD, [N1, N2, N3], 0),
  entries = 3,
  ids: readonly CopyId[] = IDS,
): Copies {
  const copies = new Copies(ids);
  copies.begin(view, entries);
  return copies;
}

/** The same, and n1 leads all three in a view of its own. */
export function led(ids: readonly CopyId[] = IDS, limits?: Copies['limits']): Copies {
  const copies = begun(undefined, 3, ids);
  if (limits) copies.limits = limits;
  const { copy } = copies.at(N1);
  assert.ok(copies.run(2000, () => copy.role === 'leader' && copy.view.active.length === 3));
  // Voters that have promised do not stand at once.
  copies.run(1000);
  for (const machine of copies.machines.values()) machine.sent.length = 0;
  return copies;
}

/** What the copy has said to this one, or to all, of one type. */
export function said<T extends ShardMessage['type']>(
  { sent }: Machine,
  type: T,
  to?: CopyId,
): Of<T>[] {
  return sent
    .filter((s) => s.m.type === type && (to === undefined || s.to === to))
    .map((s) => s.m as Of<T>);
}

/** Time goes by for this copy alone. */
export function pass(copies: Copies, machine: Machine, ms: number): void {
  for (const endMs = copies.nowMs + ms; copies.nowMs < endMs; ) {
    copies.nowMs += 20;
    machine.turn();
    machine.copy.tick(copies.nowMs);
    machine.turn();
  }
}

/** n1 stands for leader: the number that it asks for. */
export function stands(copies: Copies): ViewNumber {
  const machine = copies.at(N1);
  pass(copies, machine, 40);
  const [prepare] = said(machine, 'prepare');
  assert.ok(prepare, 'it stands');
  return prepare.number;
}

/** A promise of a copy that recorded `view` and whose log is of runs of `view`, up to `end`. */
export function promise(number: ViewNumber, view: View, end: number): Of<'promise'> {
  return {
    type: 'promise',
    number,
    granted: true,
    promised: number,
    view,
    end,
    tailStart: 0,
    floor: 0,
    valid: true,
    terms: end > 0 ? [{ number: view.number, start: 1 }] : [],
  };
}
