import type { StableView } from '../core/cut-detector.ts';
import type { Refusal } from '../core/event.ts';
import type { UserEvent } from '../core/event-codec.ts';
import type { SwimMember } from '../core/message.ts';
import type { SwimErrorCode } from '../errors.ts';
import type { SwimLog } from '../ports.ts';
import { diffMembers, diffViews } from './members-delta.ts';
import { EMPTY_VIEW, NO_MEMBERS, type Outcome, type Report } from './messages.ts';

/** User events that wait for a busy main loop. */
const EVENTS_MAX = 1_024;
/** Hints, notices, and lines of the log, that wait for a busy main loop. */
const LINES_MAX = 256;

/** Where the reporter looks when something has changed. */
export interface ReporterSource {
  members(): readonly SwimMember[];
  view(): StableView;
}

/**
 * What the thread has to tell the main loop: one report under way at a time, the rest gathers.
 *
 * While the main loop is busy, changes of members become one difference. User events beyond
 * {@link EVENTS_MAX} and lines of the log beyond {@link LINES_MAX} are given up, so that what waits is
 * bounded by the members and by the calls that the main loop itself made.
 */
export class Reporter {
  readonly #source: ReporterSource;
  readonly #post: (report: Report) => void;
  #told: readonly SwimMember[] = NO_MEMBERS;
  #toldView = EMPTY_VIEW;
  #changed = false;
  #clusterId: string | undefined;
  #refusals: Refusal[] = [];
  #events: UserEvent[] = [];
  #eventsLost = 0;
  #outcomes: Outcome[] = [];
  #notices: { code: SwimErrorCode; address: string }[] = [];
  #logs: Parameters<SwimLog>[] = [];
  #left = false;
  /** A report is under way, or the main loop is not ready to take one yet. */
  #waiting = true;
  #due = false;

  constructor(source: ReporterSource, post: (report: Report) => void) {
    this.#source = source;
    this.#post = post;
  }

  /** The main loop is ready for the next. */
  taken(): void {
    this.#waiting = false;
    if (this.#due) this.#flush();
  }

  /** Of the list, or of the stable view. */
  membersChanged(): void {
    this.#changed = true;
    this.#flushLater();
  }

  learned(clusterId: string): void {
    this.#clusterId = clusterId;
    this.#flushLater();
  }

  /** One that does not fit is given up: it comes again, or the member is faulty soon. */
  refused(refusal: Refusal): void {
    if (this.#refusals.length < LINES_MAX) this.#refusals.push(refusal);
    this.#flushLater();
  }

  event(event: UserEvent): void {
    if (this.#events.length < EVENTS_MAX) this.#events.push(event);
    else this.#eventsLost++;
    this.#flushLater();
  }

  answer(outcome: Outcome): void {
    this.#outcomes.push(outcome);
    this.#flushLater();
  }

  notice(code: SwimErrorCode, address: string): void {
    if (this.#notices.length < LINES_MAX) this.#notices.push({ code, address });
    this.#flushLater();
  }

  log(...line: Parameters<SwimLog>): void {
    if (this.#logs.length < LINES_MAX) this.#logs.push(line);
    this.#flushLater();
  }

  departed(): void {
    this.#left = true;
    this.#flushLater();
  }

  /** What happens in one turn of the loop makes one report. */
  #flushLater(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#waiting || !this.#due) return;
    this.#due = false;
    this.#waiting = true;
    const now = this.#changed ? this.#source.members() : this.#told;
    const nowView = this.#changed ? this.#source.view() : this.#toldView;
    const members = diffMembers(this.#told, now);
    const view = diffViews(this.#toldView, nowView);
    const lost = this.#eventsLost;
    if (lost > 0)
      this.#logs.push(['warn', 'The main loop was too busy for user events.', { lost }]);
    const clusterId = this.#clusterId;
    const refusals = this.#refusals;
    const events = this.#events;
    const outcomes = this.#outcomes;
    const notices = this.#notices;
    const logs = this.#logs;
    const left = this.#left;
    this.#told = now;
    this.#toldView = nowView;
    this.#changed = false;
    this.#clusterId = undefined;
    this.#refusals = [];
    this.#events = [];
    this.#eventsLost = 0;
    this.#outcomes = [];
    this.#notices = [];
    this.#logs = [];
    this.#post({
      ...(members === undefined ? {} : { members }),
      ...(view === undefined ? {} : { view }),
      ...(clusterId === undefined ? {} : { clusterId }),
      refusals,
      events,
      outcomes,
      notices,
      logs,
      left,
    });
  }
}
