/**
 * The composition root: one node process, started and stopped in order.
 *
 * Start: store → identity → ports → shards from disk → membership and links → ready → clients. A founder is
 * a member first, so that it founds nothing where a port is taken. Stop: clients told, leadership handed
 * over, answers awaited, then links, membership and store closed.
 */

import { performance } from 'node:perf_hooks';
import { type SwimHandle, type SwimMember, swimConfig } from '@shoal/swim';
import pino, { type Logger } from 'pino';
import { isLoopback, parseAddress } from './address.ts';
import type { GivenSettings } from './cluster-settings.ts';
import { type Config, swimSettings } from './config.ts';
import { startAdminApi } from './edge/admin/admin-api.ts';
import { Backend } from './edge/admin/backend.ts';
import { BrokerMetrics } from './edge/admin/metrics.ts';
import { LinkSecurity } from './edge/link/link-security.ts';
import { PeerLinks } from './edge/link/peer-link.ts';
import { TcpListener } from './edge/listeners/tcp.ts';
import { JoinWatch } from './edge/membership/join-watch.ts';
import { MemberLog } from './edge/membership/member-log.ts';
import { decodeMeta, encodeMeta } from './edge/membership/member-meta.ts';
import { Notices } from './edge/membership/notices.ts';
import { whyUnreachable } from './edge/membership/reach.ts';
import { startMembership } from './edge/membership/start-membership.ts';
import { DataFolder } from './edge/store/data-folder.ts';
import { DiskWatch } from './edge/store/disk-watch.ts';
import { type KeyringKeys, keepKeyring, keyIdOf, loadKeyring } from './edge/store/keyring-file.ts';
import type { LevelStore } from './edge/store/level-store.ts';
import { BrokerError, type BrokerErrorCode } from './errors.ts';
import { ReasonCode } from './mqtt/reason-code.ts';
import { type Identity, loadIdentity, randomId } from './node/members/identity.ts';
import { NodeCore } from './node/node.ts';
import type { Log, MemberInfo, MemberMeta, NodeEnv } from './ports.ts';

/** What a node tells once it serves. */
export interface ReadyReport {
  readonly node: string;
  readonly pid: number;
  readonly mqtt: string;
  readonly cluster: string;
  readonly admin: string;
}

export interface NodeHooks {
  /** An error after which the process must end. */
  onFatal(error: BrokerError): void;
  /** The node was removed from its cluster and has closed: the process may end, with success. */
  onLeft?(): void;
}

/** What one start is told, and no other. */
export interface StartOptions {
  /** Go on with what is left of the shards of which this node has the only copy. */
  readonly acceptLoss?: boolean;
}

export interface RunningNode {
  readonly ready: Promise<ReadyReport>;
  /** Drains and closes; resolves when nothing is left open. */
  stop(): Promise<void>;
}

const TICK_MS = 20;

/**
 * Starts a node; resolves once it is on disk and in membership, `ready` once it serves clients.
 *
 * @param given settings of the cluster that the operator gave in words ({@link givenSettings}): where a
 *   cluster that the node joins has others, it ends with BROKER_ERR_JOIN_SETTINGS
 * @throws BrokerError when it cannot start; nothing stays open
 */
export async function startNode(
  config: Config,
  hooks: NodeHooks,
  given: GivenSettings = {},
  options: StartOptions = {},
): Promise<RunningNode> {
  const running = new NodeProcess(config, hooks, given, options);
  try {
    await running.start();
  } catch (error) {
    await running.close();
    throw error;
  }
  return running;
}

class NodeProcess implements RunningNode {
  readonly ready: Promise<ReadyReport>;
  readonly #config: Config;
  readonly #hooks: NodeHooks;
  readonly #given: GivenSettings;
  readonly #options: StartOptions;
  readonly #pino: Logger;
  readonly #readiness = Promise.withResolvers<ReadyReport>();
  readonly #closers: (() => Promise<void> | void)[] = [];
  #core: NodeCore | null = null;
  /** The stable view that the core was last told of. */
  #viewNumber = 0;
  #agent: SwimHandle | null = null;
  #store: LevelStore | null = null;
  readonly #disk: DiskWatch;
  #links: PeerLinks | null = null;
  #listener: TcpListener | null = null;
  #meta: MemberMeta;
  #founds = false;
  #flushDue = false;
  #stopping: Promise<void> | null = null;
  #closed = false;

  constructor(config: Config, hooks: NodeHooks, given: GivenSettings, options: StartOptions) {
    this.#config = config;
    this.#hooks = hooks;
    this.#given = given;
    this.#options = options;
    this.ready = this.#readiness.promise;
    // A node that is stopped before it serves rejects `ready` with nobody waiting.
    this.ready.catch(() => {});
    this.#pino = pino(
      { level: config.log.level, base: { node: config.node.name } },
      pino.destination({ dest: 2, sync: true }),
    );
    this.#memberLog = new MemberLog(
      this.#log,
      config.node.name,
      (member) => this.#core?.hasStopped(member) ?? false,
    );
    this.#disk = new DiskWatch(config.swim.unwellAfterMs, this.#log);
    const { join, discovery } = config.cluster;
    this.#notices = new Notices({
      told: [...join, ...discovery],
      isReady: () => this.#core?.ready ?? false,
      nowMs: () => performance.now(),
      fatal: (error) => this.#fatal(error),
      log: this.#log,
    });
    const { zone, host, weight } = config.node;
    this.#meta = { storeId: '', zone, host, weight, mqtt: '', admin: '', leaving: false };
  }

  readonly #log: Log = (level, message, fields) => this.#pino[level](fields ?? {}, message);
  readonly #memberLog: MemberLog;
  readonly #notices: Notices;

  async start(): Promise<void> {
    const config = this.#config;
    checkLoopback('mqtt.listen', config.mqtt.listen);
    checkLoopback('admin.listen', config.admin.listen);
    const folder = await this.#openFolder();
    const identity = await this.#identity(folder.store);
    const marks = await folder.identified(identity);
    this.#meta = { ...this.#meta, storeId: identity.storeId };
    const found = identity.shardCount === 0 && this.#founds;
    const env = { ...this.#env(folder.store), marks, ...folder.hooks };
    const core = new NodeCore(env, {
      identity,
      found,
      shardCount: config.cluster.shards,
      replicas: config.cluster.replicas,
      durability: config.data.durability,
      given: this.#given,
      meta: this.#meta,
      limits: config.limits,
      timings: config.timings,
      damage: folder.damage,
      lastRun: folder.lastRun,
      acceptLoss: this.#options.acceptLoss ?? false,
    });
    this.#core = core;
    await this.#listen(core);
    await this.#serveAdmin(core);
    if (found) await this.#join(core, identity);
    await new Promise<void>((resolve) => {
      core.boot(resolve);
      core.flush();
    });
    if (!found) await this.#join(core, identity);
    this.#watchJoin(core);
    const ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#closers.unshift(() => clearInterval(ticker));
  }

  /** Takes the port for clients, who are turned away until this node serves them. */
  async #listen(core: NodeCore): Promise<void> {
    const { mqtt, limits } = this.#config;
    const address = parseAddress(mqtt.listen);
    if ('problem' in address)
      throw new BrokerError('BROKER_ERR_ADDRESS_UNUSABLE', `mqtt.listen: ${address.problem}`);
    const listener = await TcpListener.start({
      host: address.host,
      port: address.port,
      isOpen: false,
      onConnection: (socket) => core.accept(socket),
      maxConnections: limits.connections,
      onPending: (changeBytes) => {
        core.counters.clientBytes += changeBytes;
      },
      log: this.#log,
    });
    this.#listener = listener;
    this.#closers.unshift(() => listener.close());
  }

  #watchJoin(core: NodeCore): void {
    const { join, discovery } = this.#config.cluster;
    const hasJoined = () => core.shardCount > 0;
    if (hasJoined()) return;
    const watch = new JoinWatch({
      addresses: join,
      discovery,
      hasJoined,
      join: (address) => this.#agent!.join(address),
      whyUnreachable,
      log: this.#log,
    });
    this.#closers.unshift(() => watch.close());
  }

  async #openFolder(): Promise<DataFolder> {
    const folder = await DataFolder.open({
      ...this.#config.data,
      onFatal: (_code, error) => this.#fatal(error),
      log: this.#log,
    });
    this.#closers.unshift(() => folder.close());
    this.#store = folder.store;
    return folder;
  }

  async #identity(store: LevelStore): Promise<Identity> {
    const want = {
      name: this.#config.node.name,
      wallMs: Date.now(),
      random: Math.random,
    };
    const result = await new Promise<Parameters<Parameters<typeof loadIdentity>[2]>[0]>((resolve) =>
      loadIdentity(store, want, resolve),
    );
    if ('error' in result) throw new BrokerError(result.error, result.message);
    const { join, discovery } = this.#config.cluster;
    this.#founds = result.clusterId === '' && join.length === 0 && discovery.length === 0;
    return this.#founds ? { ...result, clusterId: randomId(Math.random, 16) } : result;
  }

  #env(store: LevelStore): NodeEnv {
    return {
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      random: Math.random,
      store,
      sendFrame: (peer, frame) => this.#links?.send(peer, frame),
      resetLink: (peer) => this.#links?.reset(peer),
      scheduleFlush: () => this.#scheduleFlush(),
      log: this.#log,
      fatal: (code, message) => this.#fatal(new BrokerError(code as BrokerErrorCode, message)),
    };
  }

  #fatal(error: BrokerError): void {
    this.#log('error', error.message, { code: error.code });
    const end = () => this.#hooks.onFatal(error);
    // One that was refused has left nothing behind that anybody should wait for.
    if (error.code === 'BROKER_ERR_JOIN_SETTINGS' && this.#agent)
      this.#agent.leave().then(end, end);
    else end();
  }

  #scheduleFlush(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.#core?.flush();
      this.#listener?.flush();
    });
  }

  async #join(core: NodeCore, identity: Identity): Promise<void> {
    const config = this.#config;
    const { name, bootEpoch } = identity;
    const keyring = await this.#keyring();
    const { encryption } = config.cluster;
    const clusterId = () => core.clusterId;
    const security = keyring && new LinkSecurity({ keys: keyring, encryption, clusterId });
    const links = new PeerLinks({
      clusterId,
      name,
      bootEpoch,
      security,
      onRefused: () => {
        core.counters.linksRefused++;
      },
      onUp: (peer, epoch) => core.links.onLinkUp(peer, epoch),
      onDown: (peer) => core.links.onLinkDown(peer),
      onFrame: (peer, frame) => core.links.onFrame(peer, frame),
      onReset: (peer) => this.#agent?.probeNow(peer),
      log: this.#log,
    });
    this.#links = links;
    this.#agent = await startMembership(
      config.swim,
      {
        config: swimConfig(swimSettings(config.swim)),
        name,
        bootEpoch,
        clusterId: core.clusterId,
        listen: config.cluster.listen,
        ...(keyring === undefined ? {} : { keyring, encryption }),
        onKeyring: async (keys) => {
          await keepKeyring(config.data.dir, keys);
          security?.setKeys(keys);
          this.#log('info', 'keyring', { keys: keys.map((key) => keyIdOf(key)) });
          links.onKeyring();
        },
        ...(config.cluster.advertise === undefined ? {} : { advertise: config.cluster.advertise }),
        meta: encodeMeta(this.#meta),
        seeds: config.cluster.join,
        discovery: config.cluster.discovery,
        onMembers: (members) => this.#onMembers(members),
        onView: ({ number }) => {
          // Mostly it changed with the members, just before.
          if (this.#agent && number !== this.#viewNumber) this.#onMembers(this.#agent.members());
        },
        onClusterId: (id) => core.joining.onClusterId(id),
        // The process ends by it, and takes this boot epoch when it starts again.
        onBootEpoch: (epoch) => new Promise(() => core.lineage.outlive(epoch, () => {})),
        onForeignStream: (socket, head) => links.accept(socket, head),
        onNotice: (code, address) => this.#notices.on(code, address),
        log: (level, message, fields) => this.#log(level, message, fields),
      },
      (error) => this.#fatal(error),
    );
    const agent = this.#agent;
    this.#onMembers(agent.members());
    this.#closers.unshift(async () => {
      links.close();
      await agent.stop();
    });
  }

  /** What this node starts with; says so, since clear text is nothing to happen unnoticed. */
  async #keyring(): Promise<KeyringKeys | undefined> {
    const { data, cluster } = this.#config;
    const keys = await loadKeyring(data.dir, cluster.keyringFile);
    const ids = keys?.map((key) => keyIdOf(key));
    if (ids !== undefined) {
      const { encryption } = cluster;
      this.#log(encryption === 'required' ? 'info' : 'warn', 'keyring', { keys: ids, encryption });
    }
    return keys;
  }

  #onMembers(members: readonly SwimMember[]): void {
    const core = this.#core;
    if (!core || this.#closed) return;
    const infos: MemberInfo[] = [];
    const { number, names } = this.#agent?.view() ?? { number: 0, names: [] };
    this.#viewNumber = number;
    const view = new Set(names);
    for (const m of members) {
      const meta = m.name === this.#config.node.name ? this.#meta : decodeMeta(m.meta);
      if (meta) infos.push({ ...m, meta, inView: view.has(m.name) });
    }
    this.#memberLog.note(infos);
    core.links.onMembers(infos);
    const linked = this.#disk.hangs ? [] : infos.filter((m) => m.state !== 'left');
    this.#links?.setPeers(
      linked.map(({ name, bootEpoch, address }) => ({ name, bootEpoch, address })),
    );
  }

  async #serveAdmin(core: NodeCore): Promise<void> {
    const backend = new Backend(core, {
      dataDir: this.#config.data.dir,
      join: (address) => this.#membership().join(address),
      keyring: () => this.#membership().keyring,
      setLeaving: () => this.#setMeta({ leaving: true }),
      leave: () => this.#leave(),
      forceLeave: (name) => this.#membership().forceLeave(name),
      reportEnd: (name, bootEpoch) => this.#membership().reportEnd(name, bootEpoch),
    });
    const admin = await startAdminApi({
      listen: this.#config.admin.listen,
      backend,
      metrics: new BrokerMetrics(
        () => backend.counters(),
        this.#config.node.name,
        () => this.#agent ?? undefined,
      ),
      log: this.#log,
    });
    this.#setMeta({ admin: admin.address });
    this.#closers.unshift(() => admin.close());
    this.#closers.unshift(() => backend.close());
  }

  /** @throws BROKER_ERR_NOT_READY while shards are still being loaded */
  #membership(): SwimHandle {
    if (!this.#agent) throw new BrokerError('BROKER_ERR_NOT_READY', 'the node is starting');
    return this.#agent;
  }

  #setMeta(change: Partial<MemberMeta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#agent?.setMeta(encodeMeta(this.#meta));
    if (this.#agent) this.#onMembers(this.#agent.members());
  }

  #tick(): void {
    const core = this.#core!;
    core.tick();
    this.#watchDisk();
    if (core.ready && !this.#serving) this.#serve();
  }

  /**
   * A node whose disk hangs says so; of its main loop, the thread of membership does. It gives up its
   * links until the disk writes again: so the others form views without its copies, as without those of
   * a node that says nothing, instead of waiting for what it cannot persist.
   */
  #watchDisk(): void {
    if (!this.#disk.look(this.#store?.underWayMs ?? 0)) return;
    this.#agent?.setUnwell(this.#disk.hangs);
    if (this.#agent) this.#onMembers(this.#agent.members());
  }

  #serving = false;

  /** The node has joined and knows views and routes: clients may come. */
  #serve(): void {
    this.#serving = true;
    const listener = this.#listener!;
    listener.open();
    this.#setMeta({ mqtt: this.#config.mqtt.advertise ?? listener.address });
    this.#readiness.resolve({
      node: this.#config.node.name,
      pid: process.pid,
      mqtt: listener.address,
      cluster: this.#agent!.address,
      admin: this.#meta.admin,
    });
  }

  /** No view needs this node any more, and its clients are elsewhere: it leaves membership and ends. */
  async #leave(): Promise<void> {
    const core = this.#core!;
    core.disconnectAll(ReasonCode.ServerMoved);
    await this.#until(() => core.unanswered === 0);
    await this.#agent?.leave();
    await this.close();
    this.#hooks.onLeft?.();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  /** A stop is not a leave: the node keeps its place, and comes back to it. */
  async #drain(): Promise<void> {
    const core = this.#core;
    this.#readiness.reject(new BrokerError('BROKER_ERR_NOT_READY', 'stopped'));
    if (core) {
      core.disconnectAll(ReasonCode.ServerShuttingDown);
      await this.#until(() => core.unanswered === 0);
      core.handOverAll();
      await this.#until(() => core.shards.led.size === 0 || !core.canHandOver);
      core.peers.sayStopped();
      core.flush();
    }
    await this.close();
  }

  /** Waits for a condition, at most the configured time. */
  #until(condition: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + this.#config.timings.stopTimeoutMs / 2;
    return new Promise((resolve) => {
      const check = () => {
        if (condition() || performance.now() >= deadlineMs) resolve();
        else setTimeout(check, TICK_MS);
      };
      check();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const close of this.#closers) await close();
  }
}

function checkLoopback(key: string, text: string): void {
  const address = parseAddress(text);
  if ('problem' in address || isLoopback(address.host)) return;
  throw new BrokerError('BROKER_ERR_ADDRESS_NOT_LOOPBACK', `${key} ${text}`);
}
