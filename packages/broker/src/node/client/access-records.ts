/**
 * The cluster's users, roles and bans, kept up to date on this node and changed from it.
 *
 * They are retained messages of the cluster's own ({@link ACCESS_PREFIX}), and this node subscribes to them as a
 * client does. A change is done once its shard has committed it and every node in reach has it. Where something
 * may have been missed, all are read again.
 */
import type { Gate } from '../../access/gate.ts';
import {
  ACCESS_PREFIX,
  keyOfTopic,
  RECORD_BYTES_MAX,
  RECORDS,
  type RecordKind,
  topicOf,
} from '../../access/records.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Message } from '../../session/message.ts';
import type { LiveConnection, LiveSubscription } from '../route/client-port.ts';
import type { Reading } from '../route/retained-reading.ts';
import type { SessionPort } from './session-port.ts';

const FILTER = `${ACCESS_PREFIX}#`;
/** Publisher of the records; no client has that identifier's rights. */
const PUBLISHER = '$shoal';
/** A change that is not done by then is given up; it may be done later. */
export const CHANGE_TIMEOUT_MS = 10_000;
/** All are read again so often, whatever happens. */
const READ_AGAIN_MS = 60_000;
/** Records of all kinds together; further ones are refused. */
export const RECORDS_MAX = 200_000;

interface Change {
  readonly deadlineMs: number;
  readonly done: (problem: string | undefined) => void;
}

type AccessPort = Pick<
  SessionPort,
  'env' | 'clock' | 'live' | 'queries' | 'router' | 'liveBarrier'
>;

export class AccessRecords implements LiveConnection {
  readonly id = 0;
  readonly clientId = PUBLISHER;
  readonly persistent = false;
  readonly window = 65_535;
  filterBytes = 0;
  readonly #port: AccessPort;
  readonly #gate: Gate;
  readonly #onChange: () => void;
  /** Stamp of the last change of each topic that is known, deletions since the last reading included. */
  readonly #stamps = new Map<string, number>();
  readonly #changes = new Set<Change>();
  #reading: Reading | null = null;
  /** Topics that the reading under way has found. */
  #found = new Set<string>();
  /** Clock when it began: what was changed later is not its to judge. */
  #readingSince = 0;
  #started = false;
  #readAtMs = Number.POSITIVE_INFINITY;

  /** @param onChange who may come in, or do what, has changed */
  constructor(port: AccessPort, gate: Gate, onChange: () => void) {
    this.#port = port;
    this.#gate = gate;
    this.#onChange = onChange;
  }

  /** @param isSettled shards and routes are there */
  tick(nowMs: number, isSettled: boolean): void {
    if (!this.#started && isSettled) this.#start();
    if (this.#started && nowMs >= this.#readAtMs) this.#read();
    for (const change of this.#changes)
      if (nowMs >= change.deadlineMs) this.#settle(change, 'the cluster did not answer in time');
  }

  #start(): void {
    this.#started = true;
    const { live, clock } = this.#port;
    const subscription: LiveSubscription = {
      filter: FILTER,
      qos: 1,
      noLocal: false,
      retainAsPublished: true,
      retainHandling: 0,
      identifier: 0,
      connection: this,
      zeroOnly: false,
      since: clock.next(),
    };
    live.add(subscription);
    this.#port.liveBarrier(() => this.#read());
  }

  // ---- reading ---------------------------------------------------------------------------------

  #read(): void {
    this.#readAtMs = this.#port.env.nowMs() + READ_AGAIN_MS;
    if (this.#reading) return;
    this.#found = new Set();
    this.#readingSince = this.#port.clock.next();
    this.#reading = this.#port.queries.read([FILTER], '', () => this.#take());
    this.#take();
  }

  #take(): void {
    const reading = this.#reading;
    if (!reading) return;
    for (let m = reading.take(); m; m = reading.take()) {
      this.#found.add(m.topic);
      this.#apply(m);
    }
    if (!reading.finished) return;
    this.#reading = null;
    for (const [topic, stamp] of this.#stamps) {
      if (this.#found.has(topic) || stamp >= this.#readingSince) continue;
      this.#stamps.delete(topic);
      const of = keyOfTopic(topic);
      if (of) this.#gate.directory.apply(of.kind, of.key, undefined);
    }
    this.#found = new Set();
    this.#gate.loaded = true;
    this.#onChange();
  }

  #apply({ topic, payload, hlc }: Message): void {
    if (hlc < (this.#stamps.get(topic) ?? 0)) return;
    const of = keyOfTopic(topic);
    if (!of) return;
    this.#stamps.set(topic, hlc);
    const problem = this.#gate.directory.apply(of.kind, of.key, parse(payload));
    if (problem === undefined) return;
    // As a later version may have written it: what it allowed is not guessed.
    this.#gate.directory.apply(of.kind, of.key, undefined);
    this.#port.env.log('error', 'an access record cannot be used', { ...of, why: problem });
  }

  // ---- as a subscriber -------------------------------------------------------------------------

  deliverLive(message: Message): boolean {
    this.#apply(message);
    this.#onChange();
    return true;
  }

  whenRoom(run: () => void): void {
    run();
  }

  /** Something was missed, as others had given this node up. */
  shutdown(): void {
    this.#readAtMs = 0;
  }

  // ---- changing --------------------------------------------------------------------------------

  /**
   * Writes a record, or with null deletes it.
   *
   * @param done with what went wrong; undefined once every node in reach has it
   */
  change(
    kind: RecordKind,
    key: string,
    record: object | null,
    done: (problem: string | undefined) => void,
  ): void {
    const { env, clock, router } = this.#port;
    const text = record === null ? '' : JSON.stringify(record);
    const payload = Buffer.from(text);
    if (record !== null) {
      const parsed = RECORDS[kind].safeParse(record);
      if (!parsed.success) return done(problemOf(parsed.error.issues[0]));
      if (payload.length > RECORD_BYTES_MAX) return done(`has more than ${RECORD_BYTES_MAX} bytes`);
      if (this.#stamps.size >= RECORDS_MAX) return done(`there are ${RECORDS_MAX} records already`);
    }
    const change = { deadlineMs: env.nowMs() + CHANGE_TIMEOUT_MS, done };
    this.#changes.add(change);
    const message: Message = {
      topic: topicOf(kind, key),
      payload,
      qos: 1,
      retain: true,
      hlc: clock.next(),
      expiresAtMs: 0,
      properties: new Uint8Array(0),
      publisher: PUBLISHER,
    };
    router.publish(message, null, {
      wanted: true,
      slowed() {},
      published: (reasonCode) =>
        this.#settle(
          change,
          reasonCode === ReasonCode.QuotaExceeded ? 'its shard has no room for it' : undefined,
        ),
    });
  }

  #settle(change: Change, problem: string | undefined): void {
    if (this.#changes.delete(change)) change.done(problem);
  }
}

function parse(payload: Uint8Array): unknown {
  if (payload.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return null;
  }
}

function problemOf(issue: { path: PropertyKey[]; message: string } | undefined): string {
  return issue ? `${issue.path.map(String).join('.')}: ${issue.message}` : 'not valid';
}
