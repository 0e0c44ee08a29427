/**
 * The {@link AdminBackend} of a running node: what its core and the other nodes know, for people.
 *
 * Reads the core between its turns and changes nothing in it but by the ways that clients use.
 */

import { lookup } from 'node:dns/promises';
import type { Dirent } from 'node:fs';
import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatAddress, readAddress, SwimError, type SwimHandle } from '@shoal/swim';
import type { Counters } from '../../counters.ts';
import { BrokerError, type BrokerErrorCode } from '../../errors.ts';
import type { NodeCore } from '../../node/node.ts';
import { nameOf } from '../../shard/view.ts';
import { AccessBackend } from './access-backend.ts';
import type {
  AddedNode,
  AdminBackend,
  ClientDetail,
  ClientPage,
  ClusterStatus,
  HealthReport,
  KeyringStatus,
  ReadinessReason,
  ReadinessReport,
  RemovalPlan,
  RemovalProgress,
  SessionDetail,
  SessionExplanation,
  SessionPage,
  ShardRecovery,
  ShareDetail,
  ShareList,
} from './admin-backend.ts';
import { listClients, showClient } from './backend-clients.ts';
import { explainSession } from './backend-explain.ts';
import { installKey, listKeys, removeKey, useKey } from './backend-keyring.ts';
import { Removals } from './backend-removal.ts';
import { deleteSession, kickSession, listSessions, showSession } from './backend-sessions.ts';
import { listShares, showShare } from './backend-shares.ts';
import { clusterStatus, orphans, underReplicated } from './backend-status.ts';
import { pausedHere, whyPaused, whyWaiting } from './backend-waiting.ts';

/** What the backend needs of the process around the core. */
export interface BackendHooks {
  readonly dataDir: string;
  /** Exchanges membership with the node at a cluster address. @throws SwimError */
  join(address: string): Promise<void>;
  /** The keyrings of all members. */
  keyring(): SwimHandle['keyring'];
  /** This node drains from now on. Once nothing needs it, it leaves membership and its process ends. */
  leave(): void;
  /** Makes a dead member count as left on every node; false where it is not dead. */
  forceLeave(name: string): Promise<boolean>;
  /** Says that the process of a member has ended. */
  reportEnd(name: string, bootEpoch: number | undefined): void;
}

/** Publishes that wait for longer make the node not ready: a failover is over by then. */
const PUBLISHES_WAIT_MS = 5000;
/** The same for shards, if all of them wait. */
const ALL_WAIT_MS = 5000;
/** How long a node that was reached may take to show up in membership. */
const ADD_TIMEOUT_MS = 3000;
const ADD_POLL_MS = 50;

export class Backend implements AdminBackend {
  readonly #core: NodeCore;
  readonly #hooks: BackendHooks;
  readonly #removals: Removals;
  readonly access: AccessBackend;

  constructor(core: NodeCore, hooks: BackendHooks) {
    this.#core = core;
    this.access = new AccessBackend(core);
    this.#hooks = hooks;
    const bytesHeld = () => folderBytes(hooks.dataDir);
    this.#removals = new Removals(core, {
      leave: () => hooks.leave(),
      forceLeave: (name) => hooks.forceLeave(name),
      bytesHeld,
    });
    core.asking.host = {
      bytesHeld: (done) => void bytesHeld().then(done),
      leave: (done) => this.#removals.leave(done),
      removal: () => this.#removals.own(),
      paused: () => pausedHere(core),
    };
    core.clients.sys.host = {
      facts: () => ({
        counters: this.counters(),
        version: VERSION,
        uptimeSeconds: Math.floor((core.nowMs() - core.bootedMs) / 1000),
        heapBytes: process.memoryUsage().heapUsed,
        shards: core.shardCount,
        underReplicated: underReplicated(core).length,
      }),
    };
  }

  /** Answers nothing to other nodes any more. */
  close(): void {
    this.#core.asking.host = null;
    this.#core.clients.sys.host = null;
  }

  health(): HealthReport {
    const { name, bootedMs } = this.#core;
    const uptimeMs = Math.round(this.#core.nowMs() - bootedMs);
    return { node: name, pid: process.pid, version: VERSION, uptimeMs };
  }

  readiness(): ReadinessReport {
    const core = this.#core;
    const reasons: ReadinessReason[] = [];
    const say = (reason: ReadinessReason['reason'], message: string) =>
      reasons.push({ reason, message });
    const self = core.membership.get(core.name);
    const listens = (self?.meta.mqtt ?? '') !== '';
    const leaving = self?.meta.leaving ?? false;
    if (core.shardCount === 0) say('not-joined', 'No member of a cluster has answered yet.');
    else if (!core.ready || !listens) say('loading', this.#loading());
    const waits = core.ready && core.nowMs() - core.grants.lapsedSinceMs >= PUBLISHES_WAIT_MS;
    if (waits) say('publishes-wait', this.#waiting());
    if (leaving) say('leaving', 'The node is being removed: new clients should go elsewhere.');
    const lacking = core.shardCount === 0 ? 0 : underReplicated(core).length;
    const paused = whyPaused(core, core.nowMs());
    if (paused !== '') say('shards-wait', paused);
    const serves = !this.#allWait();
    if (lacking > 0)
      say('under-replicated', `${lacking} of ${core.shardCount} shards lack copies.`);
    const { atRisk } = core.asking.totals();
    if (atRisk > 0)
      say('sessions-at-risk', `${atRisk} persistent sessions led here have one copy left.`);
    const unled = orphans(core).atRisk;
    if (unled > 0)
      say('sessions-at-risk', `${unled} persistent sessions held here have no leader in reach.`);
    return { ready: core.ready && listens && !leaving && !waits && serves, reasons };
  }

  /** No shard has had a leader in reach for long: not even a CONNECT is answered. */
  #allWait(): boolean {
    const core = this.#core;
    const unled = core.unled.now(core.nowMs());
    if (!unled || unled.shards < core.shardCount) return false;
    return core.nowMs() - unled.sinceMs >= ALL_WAIT_MS;
  }

  #loading(): string {
    const { views, shardCount } = this.#core;
    let known = 0;
    for (const _view of views) known++;
    if (known < shardCount) return `The leaders of ${known} of ${shardCount} shards are known.`;
    return 'The leaders are known; some have not announced their routes yet.';
  }

  #waiting(): string {
    const { grants } = this.#core;
    const nowMs = this.#core.nowMs();
    const seconds = Math.floor((nowMs - grants.lapsedSinceMs) / 1000);
    const why = whyWaiting(this.#core, nowMs);
    return `QoS 1 and 2 publishes have waited for ${seconds} s: ${why}.`;
  }

  /** Counters, with gauges as of now. */
  counters(): Counters {
    const core = this.#core;
    const { counters } = core;
    const totals = core.asking.totals();
    counters.sessions = totals.sessions;
    counters.sessionsPersistent = totals.persistent;
    counters.sessionsDisconnected = totals.sessions - totals.connected;
    counters.queuedMessages = totals.queued;
    counters.retained = totals.retained;
    counters.sessionsAtRisk = totals.atRisk;
    counters.routes = core.routes.size;
    counters.shardsLed = core.shards.led.size;
    let held = 0;
    for (const { active } of core.views) if (active.some((id) => nameOf(id) === core.name)) held++;
    counters.shardsHeld = held;
    counters.underReplicated =
      core.shardCount === 0
        ? 0
        : underReplicated(core).filter(({ leader }) => leader === core.name).length;
    counters.ready = this.readiness().ready ? 1 : 0;
    const nowMs = core.nowMs();
    counters.publishesPaused = core.ready && !core.routable ? 1 : 0;
    counters.publishesPausedMs = core.grants.lapsedMs;
    counters.grantAgeMs = core.grants.oldestMs(nowMs);
    counters.shardsUnled = core.unled.now(nowMs)?.shards ?? 0;
    return counters;
  }

  clusterStatus(): Promise<ClusterStatus> {
    return clusterStatus(this.#core);
  }

  async addNode(address: string): Promise<AddedNode> {
    const before = new Set(this.#names());
    try {
      await this.#hooks.join(address);
    } catch (error) {
      throw joinError(error, address);
    }
    const numeric = await resolveAddress(address);
    const deadlineMs = performance.now() + ADD_TIMEOUT_MS;
    for (;;) {
      const alive = [...this.#core.membership.members].filter(({ state }) => state === 'alive');
      const found =
        alive.find((m) => m.address === numeric || m.address === address) ??
        // Known by an address that it advertises, another than the one given.
        alive.find(({ name }) => !before.has(name));
      if (found) return { name: found.name, address: found.address };
      if (performance.now() >= deadlineMs)
        throw new BrokerError('BROKER_ERR_TIMEOUT', `${address} answered and has not joined`);
      await delay(ADD_POLL_MS, undefined, { ref: false });
    }
  }

  #names(): string[] {
    return [...this.#core.membership.members]
      .filter(({ state }) => state === 'alive')
      .map(({ name }) => name);
  }

  planRemoval(name: string): Promise<RemovalPlan> {
    return this.#removals.plan(name);
  }

  removeNode(name: string, options: { readonly force: boolean }): Promise<RemovalProgress> {
    return this.#removals.remove(name, options);
  }

  removalProgress(name: string): Promise<RemovalProgress> {
    return this.#removals.progress(name);
  }

  async reportEnd(name: string, bootEpoch: number | undefined): Promise<void> {
    const core = this.#core;
    if (name === core.name)
      throw new BrokerError('BROKER_ERR_REQUEST_INVALID', `${name} answers: ask another node`);
    if (!core.membership.get(name)) throw new BrokerError('BROKER_ERR_NODE_UNKNOWN', name);
    core.log('info', 'a supervisor reported the end of a node', { member: name });
    this.#hooks.reportEnd(name, bootEpoch);
  }

  keyring(): Promise<KeyringStatus> {
    return listKeys(this.#hooks.keyring());
  }

  installKey(key: string): Promise<KeyringStatus> {
    return installKey(this.#hooks.keyring(), key);
  }

  useKey(id: string, options: { readonly force: boolean }): Promise<KeyringStatus> {
    return useKey(this.#hooks.keyring(), id, options.force);
  }

  removeKey(id: string, options: { readonly force: boolean }): Promise<KeyringStatus> {
    return removeKey(this.#hooks.keyring(), id, options.force);
  }

  listSessions(options: {
    readonly limit: number;
    readonly cursor: string | undefined;
  }): Promise<SessionPage> {
    return listSessions(this.#core, options);
  }

  showSession(clientId: string): Promise<SessionDetail> {
    return showSession(this.#core, clientId);
  }

  listShares(): Promise<ShareList> {
    return listShares(this.#core);
  }

  showShare(key: string): Promise<ShareDetail> {
    return showShare(this.#core, key);
  }

  explainSession(clientId: string): Promise<SessionExplanation> {
    return explainSession(this.#core, clientId);
  }

  async recoverShards({ acceptLoss }: { readonly acceptLoss: boolean }): Promise<ShardRecovery> {
    const shards = this.#core.shards.recover(acceptLoss);
    return { node: this.#core.name, done: acceptLoss, shards };
  }

  kickSession(clientId: string): Promise<void> {
    return kickSession(this.#core, clientId);
  }

  listClients(options: { limit: number; cursor: string | undefined }): Promise<ClientPage> {
    return listClients(this.#core, options);
  }

  showClient(clientId: string): Promise<ClientDetail> {
    return showClient(this.#core, clientId);
  }

  deleteSession(clientId: string): Promise<void> {
    return deleteSession(this.#core, clientId);
  }
}

/** Of package.json, which is as far from `src/edge/admin` as from `dist/edge/admin`. */
const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

const JOIN_ERRORS: Readonly<Record<string, BrokerErrorCode>> = {
  SWIM_ERR_OTHER_CLUSTER: 'BROKER_ERR_JOIN_OTHER_CLUSTER',
  SWIM_ERR_NAME_CONFLICT: 'BROKER_ERR_NODE_NAME_TAKEN',
  SWIM_ERR_NAME_TAKEN: 'BROKER_ERR_NODE_NAME_TAKEN',
  SWIM_ERR_OWN_ADDRESS: 'BROKER_ERR_REQUEST_INVALID',
  SWIM_ERR_ADDRESS_INVALID: 'BROKER_ERR_REQUEST_INVALID',
  SWIM_ERR_NO_CLUSTER: 'BROKER_ERR_NOT_READY',
  SWIM_ERR_VERSION: 'BROKER_ERR_REQUEST_INVALID',
  SWIM_ERR_BUSY: 'BROKER_ERR_NOT_READY',
  SWIM_ERR_STOPPED: 'BROKER_ERR_NOT_READY',
};

/** Any other failure of membership's is silence, or noise from something that is no node. */
function joinError(error: unknown, address: string): BrokerError {
  if (!(error instanceof SwimError)) {
    return new BrokerError('BROKER_ERR_NODE_UNREACHABLE', `${address}: ${String(error)}`, {
      cause: error,
    });
  }
  const code = JOIN_ERRORS[error.code] ?? 'BROKER_ERR_NODE_UNREACHABLE';
  return new BrokerError(code, `${address}: ${error.message}`, { cause: error });
}

/** The address as members give theirs: with a number for the host. */
async function resolveAddress(address: string): Promise<string> {
  const parsed = readAddress(address);
  if ('problem' in parsed) return address;
  try {
    const { address: host } = await lookup(parsed.host);
    return formatAddress(host, parsed.port);
  } catch {
    return address;
  }
}

/** Bytes of all files in a folder; those that vanish meanwhile, as a store's do, count nothing. */
async function folderBytes(folder: string): Promise<number> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true, recursive: true }).catch(
    () => [],
  );
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const size = await stat(join(entry.parentPath, entry.name)).then(
      (s) => s.size,
      () => 0,
    );
    bytes += size;
  }
  return bytes;
}
