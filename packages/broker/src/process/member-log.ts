import type { Log, LogLevel, MemberInfo } from '../ports.ts';

/** The state of a member as it was last logged. */
interface Seen {
  readonly bootEpoch: number;
  readonly state: MemberInfo['state'];
  readonly unwell: boolean;
  readonly inStableView: boolean;
  /** It announced its stop. */
  readonly stopped: boolean;
}

/**
 * Logs what becomes of the other members, one line per change: what an operator looks for afterwards.
 *
 * Suspicions are for `debug`: most are refuted, and what is not is faulty a moment later. As many members
 * are kept as membership knows.
 */
export class MemberLog {
  readonly #log: Log;
  readonly #self: string;
  readonly #hasStopped: (member: MemberInfo) => boolean;
  #seen = new Map<string, Seen>();

  /** @param hasStopped whether a member's process has ended in order */
  constructor(log: Log, self: string, hasStopped: (member: MemberInfo) => boolean) {
    this.#log = log;
    this.#hasStopped = hasStopped;
    this.#self = self;
  }

  /** To be called with all members after each change of any. */
  note(members: readonly MemberInfo[]): void {
    const seen = new Map<string, Seen>();
    for (const member of members) {
      const { name, bootEpoch, state, unwell, inStableView = true, address } = member;
      if (name === this.#self) continue;
      const before = this.#seen.get(name);
      const after = { bootEpoch, state, unwell, inStableView, stopped: this.#hasStopped(member) };
      seen.set(name, after);
      for (const [level, what] of changes(before, after))
        this.#log(level, what, { member: name, address });
    }
    this.#seen = seen;
  }
}

function changes(before: Seen | undefined, after: Seen): (readonly [LogLevel, string])[] {
  const lines: (readonly [LogLevel, string])[] = [];
  const isNew = before === undefined || before.bootEpoch !== after.bootEpoch;
  const was = before?.state ?? 'left';
  if (isNew && after.state === 'alive')
    lines.push(['info', before ? 'a member started again' : 'a member is present']);
  else if (after.state !== was) lines.push(...STATE_LINES[after.state](was, after.stopped));
  if (after.state === 'alive' && after.unwell !== (before?.unwell ?? false))
    lines.push(
      after.unwell
        ? ['warn', 'a member reports that its main loop or disk hangs']
        : ['info', 'a member is well again'],
    );
  if (before && after.inStableView !== before.inStableView && after.state !== 'left')
    lines.push(
      after.inStableView
        ? ['info', 'a member is in the view: placement uses it']
        : [after.stopped ? 'info' : 'warn', 'a member is out of the view: placement ignores it'],
    );
  return lines;
}

const STATE_LINES: Record<
  MemberInfo['state'],
  (was: MemberInfo['state'], stopped: boolean) => (readonly [LogLevel, string])[]
> = {
  alive: (was) => [[was === 'suspect' ? 'debug' : 'info', 'a member answers again']],
  suspect: () => [['debug', 'a member does not answer']],
  faulty: (_was, stopped) => [
    stopped ? ['info', 'a member has stopped'] : ['warn', 'a member is faulty'],
  ],
  left: () => [['info', 'a member has left']],
};
