/** The cluster that the demo starts: its processes, its folder, and what its admin API says. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterStatus, RemovalProgress, SessionExplanation } from '@shoal/broker';
import { FreePorts, LOOPBACK } from './free-ports.ts';
import { Guard } from './guard.ts';
import { NodeProcess } from './node-process.ts';

const POLL_MS = 50;
const REQUEST_TIMEOUT_MS = 5_000;
const STOP_GRACE_MS = 3_000;
/** A node that does not take the word at once is not waited for: the cluster finds out by itself. */
const WORD_TIMEOUT_MS = 500;

export class DemoCluster {
  /** Temporary folder with a data folder and a log per node. */
  readonly folder: string;
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #ports = new FreePorts();
  readonly #guard: Guard;
  readonly #keepData: boolean;
  #stopped = false;

  constructor(options: { readonly keepData: boolean }) {
    this.#keepData = options.keepData;
    this.folder = mkdtempSync(join(tmpdir(), 'shoal-demo-'));
    this.#guard = new Guard(this.folder);
    if (this.#keepData) this.#guard.keepFolder();
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  /** @throws Error if there is no such node */
  node(name: string): NodeProcess {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Starts a new node with empty data, joining those that run; the first one founds the cluster. */
  async add(name: string): Promise<NodeProcess> {
    if (this.#stopped) throw new Error('the cluster is stopped');
    const address = async () => `${LOOPBACK}:${await this.#ports.take()}`;
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const running = this.nodes.filter((node) => node.running);
    const node = new NodeProcess(
      {
        name,
        dataDir: join(folder, 'data'),
        logFile: join(folder, 'node.log'),
        mqtt: await address(),
        cluster: await address(),
        admin: await address(),
        join: running.map((other) => other.settings.cluster),
      },
      this.#guard,
      () => this.#tellEnd(name),
    );
    this.#nodes.set(name, node);
    await node.start();
    return node;
  }

  /** As its supervisor: the others need not find out. Resolves when one knows, or none is there. */
  async #tellEnd(name: string): Promise<void> {
    for (const other of this.nodes) {
      if (this.#stopped || other.name === name || !other.running) continue;
      const path = `/api/v1/nodes/${encodeURIComponent(name)}/ended`;
      const told = await request(other, 'POST', path, WORD_TIMEOUT_MS).then(
        () => true,
        () => false,
      );
      if (told) return;
    }
  }

  /** No longer counted as a member; its process must have ended. */
  forget(name: string): void {
    this.#nodes.delete(name);
  }

  status(via: NodeProcess): Promise<ClusterStatus> {
    return request(via, 'GET', '/api/v1/cluster');
  }

  explain(via: NodeProcess, clientId: string): Promise<SessionExplanation> {
    return request(via, 'GET', `/api/v1/sessions/${encodeURIComponent(clientId)}/explain`);
  }

  remove(via: NodeProcess, name: string): Promise<RemovalProgress> {
    return request(via, 'DELETE', `/api/v1/nodes/${encodeURIComponent(name)}`);
  }

  removal(via: NodeProcess, name: string): Promise<RemovalProgress> {
    return request(via, 'GET', `/api/v1/nodes/${encodeURIComponent(name)}/removal`);
  }

  /**
   * Waits until every running node agrees that exactly the running nodes are alive and that each
   * shard has all the copies that are wanted.
   *
   * @param onProgress copies in place and copies wanted, over all shards
   * @returns milliseconds that it took
   * @throws Error that says what was still missing after `timeoutMs`
   */
  async settled(
    timeoutMs: number,
    onProgress: (copies: number, wanted: number) => void = () => undefined,
  ): Promise<number> {
    const running = this.nodes.filter((node) => node.running);
    let last = 'no answer from the admin API';
    return waitFor(
      timeoutMs,
      () => `the cluster did not settle: ${last}`,
      async () => {
        const reports = await Promise.all(running.map((node) => this.status(node)));
        const states = reports.map((report) => settlement(report, running.length));
        const first = states[0];
        if (first !== undefined) onProgress(first.copies, first.wanted);
        last = states.find((state) => !state.settled)?.why ?? '';
        return states.every((state) => state.settled);
      },
    );
  }

  /** Ends all nodes and, unless the data is to be kept, removes the folder. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.nodes.map((node) => node.stop(STOP_GRACE_MS)));
    if (!this.#keepData) await rm(this.folder, { recursive: true, force: true });
  }

  /** At once and without waiting, for the last moment of the process. */
  kill(): void {
    for (const node of this.nodes) node.signal('SIGKILL');
  }
}

export interface Settlement {
  readonly settled: boolean;
  readonly copies: number;
  readonly wanted: number;
  /** What is missing, in words. */
  readonly why: string;
}

/** Whether one node's view of the cluster is the whole and healthy one. Pure. */
export function settlement(status: ClusterStatus, nodes: number): Settlement {
  const alive = status.members.filter((m) => m.state === 'alive' && !m.leaving);
  const present = status.members.filter((m) => m.state === 'alive' || m.state === 'suspect');
  const copies = alive.reduce((sum, member) => sum + member.shardsHeld, 0);
  const wanted = status.shards * Math.min(status.replicas, nodes);
  const lacking = status.underReplicated.count;
  const problems: string[] = [];
  if (alive.length !== nodes || present.length !== nodes) {
    problems.push(`${status.node} sees ${alive.length} of ${nodes} nodes`);
  }
  if (lacking > 0) problems.push(`${lacking} shards lack copies`);
  if (copies < wanted) problems.push(`${copies} of ${wanted} copies are in place`);
  return { settled: problems.length === 0, copies, wanted, why: problems.join(', ') };
}

/**
 * Asks again and again until `done` says so; an error counts as "not yet".
 *
 * @returns milliseconds that it took
 * @throws Error with `complaint()` after `timeoutMs`
 */
export async function waitFor(
  timeoutMs: number,
  complaint: () => string,
  done: () => Promise<boolean>,
): Promise<number> {
  const startMs = performance.now();
  let lastError = '';
  for (;;) {
    try {
      if (await done()) return performance.now() - startMs;
      lastError = '';
    } catch (error) {
      lastError = ` (${(error as Error).message})`;
    }
    if (performance.now() - startMs > timeoutMs) {
      throw new Error(`${complaint()} within ${Math.round(timeoutMs / 1000)} s${lastError}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function request<Answer>(
  via: NodeProcess,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs = REQUEST_TIMEOUT_MS,
): Promise<Answer> {
  const response = await fetch(`http://${via.settings.admin}${path}`, {
    method,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as { message?: string };
  if (!response.ok) {
    throw new Error(`${via.name} answered ${response.status}: ${body.message ?? ''}`);
  }
  return body as Answer;
}
