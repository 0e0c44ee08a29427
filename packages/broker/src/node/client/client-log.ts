/**
 * One log line for each client that comes, is refused, is taken over or goes; counted here, too.
 *
 * Bounded: clients that come and go by the thousand must neither fill a disk nor cost what serves the others.
 * What is left out is counted, and said once a second.
 */

import type { Counters } from '../../counters.ts';
import { reasonName } from '../../mqtt/reason-code.ts';
import type { LogLevel, NodeEnv } from '../../ports.ts';
import { LastErrors } from './last-errors.ts';

/** Lines about clients in a second; beyond, they are counted and the count is logged. */
export const CLIENT_LINES_PER_SECOND_MAX = 50;
/** Lines about clients at once, after a while without any. */
export const CLIENT_LINES_BURST_MAX = 200;
/** Characters of a Client Identifier in a line; the rest is left out. */
export const CLIENT_ID_LOGGED_MAX = 256;

const SUMMARY_MS = 1000;

/** What a line says of a connection. */
export interface LoggedClient {
  readonly clientId: string;
  readonly version: number;
  readonly socket: { readonly remote: string };
}

export class ClientLog {
  readonly lastErrors = new LastErrors();
  readonly #counters: Counters;
  readonly #env: Pick<NodeEnv, 'log' | 'nowMs' | 'wallMs'>;
  #credit = CLIENT_LINES_BURST_MAX;
  #countedMs: number;
  #leftOut = 0;
  #summaryMs = 0;

  constructor(counters: Counters, env: Pick<NodeEnv, 'log' | 'nowMs' | 'wallMs'>) {
    this.#counters = counters;
    this.#env = env;
    this.#countedMs = env.nowMs();
  }

  connected(c: LoggedClient, sessionPresent: boolean): void {
    this.#counters.connects++;
    this.#line('info', 'client connected', c, { version: c.version, sessionPresent });
  }

  refused(c: LoggedClient, why: string): void {
    this.#counters.connectsRefused++;
    this.#note(c, '', `CONNECT refused: ${why}`);
    this.#line('info', 'client refused', c, { why });
  }

  /** It said DISCONNECT. */
  disconnected(c: LoggedClient, reasonCode: number): void {
    this.#counters.disconnects++;
    const fields = reasonCode === 0 ? {} : { reason: reasonName(reasonCode) };
    this.#line('info', 'client disconnected', c, fields);
  }

  /** Its connection ended without a word. */
  lost(c: LoggedClient): void {
    this.#counters.connectionsLost++;
    // No line for a port check, which connects and sends no CONNECT.
    if (c.clientId !== '') this.#line('info', 'client gone', c, {});
  }

  /** The server ends a connection, and not for what its client did. */
  ended(c: LoggedClient, reasonCode: number): void {
    this.#note(c, reasonName(reasonCode), 'sent away');
    this.#line('info', 'client sent away', c, { reason: reasonName(reasonCode) });
  }

  /** The client broke the protocol, or went silent. */
  failed(c: LoggedClient, reasonCode: number, why: string): void {
    this.#counters.malformedPackets++;
    this.#note(c, reasonName(reasonCode), why);
    this.#line('warn', 'connection closed', c, { reason: reasonName(reasonCode), why });
  }

  /** @param by address of the connection that has the session now, where that is known */
  takenOver(c: LoggedClient, by: Readonly<Record<string, unknown>>): void {
    this.#line('info', 'client taken over', c, by);
  }

  #note({ clientId }: LoggedClient, reason: string, why: string): void {
    this.lastErrors.add(clientId, { atMs: this.#env.wallMs(), reason, why });
  }

  #line(
    level: LogLevel,
    message: string,
    { clientId, socket }: LoggedClient,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    if (!this.#admits()) {
      this.#leftOut++;
      return;
    }
    const { remote } = socket;
    const shown =
      clientId.length <= CLIENT_ID_LOGGED_MAX
        ? clientId
        : `${clientId.slice(0, CLIENT_ID_LOGGED_MAX).toWellFormed()}…`;
    this.#env.log(level, message, { clientId: shown, remote, ...fields });
  }

  /** The next line is left out. */
  get full(): boolean {
    return (
      this.#credit < 1 && this.#env.nowMs() - this.#countedMs < 1000 / CLIENT_LINES_PER_SECOND_MAX
    );
  }

  #admits(): boolean {
    const nowMs = this.#env.nowMs();
    const earned = ((nowMs - this.#countedMs) / 1000) * CLIENT_LINES_PER_SECOND_MAX;
    this.#credit = Math.min(CLIENT_LINES_BURST_MAX, this.#credit + earned);
    this.#countedMs = nowMs;
    if (this.#credit < 1) return false;
    this.#credit--;
    return true;
  }

  tick(nowMs: number): void {
    if (this.#leftOut === 0 || nowMs - this.#summaryMs < SUMMARY_MS) return;
    this.#summaryMs = nowMs;
    this.#env.log('info', 'lines about clients left out', { lines: this.#leftOut });
    this.#leftOut = 0;
  }
}
