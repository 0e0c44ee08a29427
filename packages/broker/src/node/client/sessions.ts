/**
 * What connections ask of their sessions: requests to the leader of the Client Identifier's shard.
 *
 * Acknowledgements of one turn go to each shard in one request.
 */
import { shardOf } from '../../placement/hash.ts';
import type { Message, Will } from '../../session/message.ts';
import type { Operation } from '../../session/operation.ts';
import type { AckItem, AckKind } from '../../session/recipient.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import { type Opened, type Reply, type Request, Status } from '../link/request.ts';
import { Arrivals } from './arrivals.ts';
import { ANSWER_TIMEOUT_MS } from './overdue.ts';
import type { SessionPort } from './session-port.ts';

/** Pause before a leader that put an OPEN off is asked again. */
const PUT_OFF_MS = 40;

export interface OpenRequest {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
  readonly version: number;
  /** Who opens it; '' for a client without a name. */
  readonly user: string;
  readonly will: Will | null;
}

/**
 * What became of an OPEN: {@link Status}.Ok, TakenOver by a connection that came later, NoSession, or
 * NotLeader if it did not come about in time.
 */
export type OpenDone = (status: Status, opened: Opened | null) => void;

interface Settling {
  readonly items: AckItem[];
  readonly dones: ((ok: boolean) => void)[];
}

interface Opening {
  readonly deadlineMs: number;
  /** From then on the connection before is waited for no longer. */
  readonly insistsMs: number;
  /** The leader put it off. */
  again: { readonly dueMs: number; readonly run: (nowMs: number) => void } | null;
  readonly done: OpenDone;
}

/** What of the node this needs. */
type SessionsPort = Pick<SessionPort, 'name' | 'bootEpoch' | 'shardCount' | 'clock'> & {
  readonly env: Pick<SessionPort['env'], 'nowMs' | 'scheduleFlush'>;
  readonly timings: Pick<SessionPort['timings'], 'willNodeGraceMs'>;
  readonly router: Pick<SessionPort['router'], 'channel' | 'whenRoutable'>;
};

export class Sessions {
  readonly #port: SessionsPort;
  readonly #arrivals: Arrivals;
  /** By number of the connection. */
  readonly #opening = new Map<number, Opening>();
  /** Acknowledgements of this turn, by shard. */
  #settling = new Map<number, Settling>();

  constructor(port: SessionsPort) {
    this.#port = port;
    this.#arrivals = new Arrivals(port.clock);
  }

  /** What connections have asked and no request carries yet. */
  get waiting(): number {
    return this.#settling.size;
  }

  tick(nowMs: number): void {
    this.#arrivals.tick(nowMs);
    for (const [id, opening] of this.#opening) {
      const { again } = opening;
      if (again && nowMs >= again.dueMs) {
        opening.again = null;
        again.run(nowMs);
      }
      if (nowMs < opening.deadlineMs) continue;
      this.#opening.delete(id);
      opening.done(Status.NotLeader, null);
    }
  }

  /** End of a turn: its acknowledgements leave, one request per shard. */
  flush(): void {
    if (this.#settling.size === 0) return;
    const settling = this.#settling;
    this.#settling = new Map();
    for (const [shard, { items, dones }] of settling) {
      this.#port.router.channel(shard).send({ type: 'ack', items }, (reply: Reply) => {
        for (const done of dones) done(reply.status === Status.Ok);
      });
    }
  }

  /** Is the session still this connection's? @param fenced called if it is not */
  attach(clientId: string, epoch: number, fenced: () => void): void {
    this.#ask(clientId, { type: 'attach', clientId, epoch }, ({ status }) => {
      if (status === Status.NoSession) fenced();
    });
  }

  #ask(clientId: string, request: Request, done: (reply: Reply) => void): void {
    this.#port.router.channel(shardOf(clientId, this.#port.shardCount)).send(request, done);
  }

  #session(clientId: string, request: Request, done: (ok: boolean) => void): void {
    this.#ask(clientId, request, ({ status }) => done(status === Status.Ok));
  }

  /** OPEN at the shard's leader. */
  open(connection: number, request: OpenRequest, done: OpenDone): void {
    const nowMs = this.#port.env.nowMs();
    this.#opening.set(connection, {
      deadlineMs: nowMs + ANSWER_TIMEOUT_MS,
      insistsMs: nowMs + this.#port.timings.willNodeGraceMs,
      again: null,
      done,
    });
    const operation = {
      type: 'open',
      ...request,
      // Of two OPENs of a client the later one has the session, whichever is heard first.
      hlc: this.#arrivals.stamp(nowMs),
      gateway: this.#port.name,
      gatewayEpoch: this.#port.bootEpoch,
      connection,
      sentUpto: -1,
    } as const;
    this.#askOpen(operation, false);
  }

  /** A leader may put an OPEN off for the sake of the connection before: then it is asked again. */
  #askOpen(operation: Operation & { type: 'open' }, insists: boolean): void {
    const { clientId, connection } = operation;
    const request: Request = insists ? { type: 'insist', open: operation } : operation;
    this.#ask(clientId, request, ({ status, opened }) => {
      const opening = this.#opening.get(connection);
      if (opening && status === Status.PutOff) {
        opening.again = {
          dueMs: this.#port.env.nowMs() + PUT_OFF_MS,
          run: (nowMs) => this.#askOpen(operation, nowMs >= opening.insistsMs),
        };
      } else if (opening) {
        this.#opening.delete(connection);
        opening.done(status, opened);
      } else if (status === Status.Ok && opened) {
        // Refused before the answer came: what was opened is closed again, and its Will is not sent.
        const how = { abnormal: false, expirySeconds: -1, sentUpto: -1, graceMs: 0 };
        this.close(clientId, opened.epoch, how);
      }
    });
  }

  close(
    clientId: string,
    epoch: number,
    how: { abnormal: boolean; expirySeconds: number; sentUpto: number; graceMs: number },
  ): void {
    // Acknowledgements that came before the end of the connection count.
    this.flush();
    this.#session(clientId, { type: 'close', clientId, epoch, ...how, elapsedMs: 0 }, () => {});
  }

  /** SUB in the session's shard, with route barrier and retained messages. */
  subscribe(
    clientId: string,
    epoch: number,
    subscriptions: readonly SubscriptionRequest[],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'sub', clientId, epoch, subscriptions }, done);
  }

  unsubscribe(
    clientId: string,
    epoch: number,
    filters: readonly string[],
    done: (ok: boolean) => void,
  ): void {
    this.#session(clientId, { type: 'unsub', clientId, epoch, filters }, done);
  }

  /**
   * QoS 2 of a stored session. `done` with {@link Status}.Ok, QuotaExceeded or NoSession, the last also when it is
   * not wanted any more.
   */
  receive(
    clientId: string,
    epoch: number,
    packetId: number,
    message: Message,
    wanted: () => boolean,
    done: (status: Status) => void,
  ): void {
    // Stamped under the route grants: the stamp is logged, and decides which subscriptions match.
    this.#port.router.whenRoutable(() => {
      if (!wanted()) return done(Status.NoSession);
      const stamped = { ...message, hlc: this.#port.clock.next() };
      const request = { type: 'rx2', clientId, epoch, packetId, message: stamped } as const;
      this.#ask(clientId, request, ({ status }) => done(status));
    });
  }

  /** `done` with {@link Status}.Ok, NotFound or NoSession. */
  pubrel(clientId: string, epoch: number, packetId: number, done: (status: Status) => void): void {
    const request = { type: 'rx2done', clientId, epoch, packetId } as const;
    this.#ask(clientId, request, ({ status }) => done(status));
  }

  /** Acknowledgement of a queued message; batched per turn. `done` when it is committed. */
  settle(
    clientId: string,
    epoch: number,
    kind: AckKind,
    position: number,
    done: ((ok: boolean) => void) | null,
  ): void {
    const shard = shardOf(clientId, this.#port.shardCount);
    let settling = this.#settling.get(shard);
    if (!settling) {
      settling = { items: [], dones: [] };
      this.#settling.set(shard, settling);
      this.#port.env.scheduleFlush();
    }
    settling.items.push({ clientId, epoch, kind, position });
    if (done) settling.dones.push(done);
  }
}
