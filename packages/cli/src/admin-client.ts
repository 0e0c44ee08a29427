/**
 * Typed HTTP client of a node's admin API.
 *
 * Uses node:http and not fetch: the path goes out as it is, so that a Client Identifier such as `..`
 * arrives, and it loads faster. Failures are BrokerErrors with the codes of the node.
 */

import { Agent, type IncomingMessage, request } from 'node:http';
import type {
  AccessAnswer,
  AccessQuestion,
  AddedNode,
  Ban,
  BrokerErrorCode,
  ClientDetail,
  ClientPage,
  ClusterStatus,
  KeyringStatus,
  ReadinessReport,
  RemovalPlan,
  RemovalProgress,
  Role,
  Rule,
  SessionDetail,
  SessionExplanation,
  SessionPage,
  ShardRecovery,
  ShareDetail,
  ShareList,
  UserChange,
  UserReport,
} from '@shoal/broker';

const ANSWER_TIMEOUT_MS = 35_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class AdminClient {
  /** `http://HOST:PORT`, for messages. */
  readonly url: string;
  readonly #host: string;
  readonly #port: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  private constructor(url: URL) {
    this.url = url.origin;
    this.#host = url.hostname.replace(/^\[|\]$/g, '');
    this.#port = url.port === '' ? '80' : url.port;
  }

  /**
   * @param address `http://HOST:PORT`, or HOST:PORT
   * @throws BROKER_ERR_REQUEST_INVALID where it is neither
   */
  static async at(address: string): Promise<AdminClient> {
    const text = address.includes('://') ? address : `http://${address}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'http:' || url.hostname === '' || url.pathname !== '/') {
      throw await failure(
        'BROKER_ERR_REQUEST_INVALID',
        `--admin ${address} must be http://HOST:PORT`,
      );
    }
    return new AdminClient(url);
  }

  cluster(): Promise<ClusterStatus> {
    return this.#json('GET', '/api/v1/cluster');
  }

  /** The report, whether the node is ready (200) or not (503). */
  async readiness(): Promise<ReadinessReport> {
    const answer = await this.#send('GET', '/ready');
    return this.#parse(answer, [200, 503]);
  }

  addNode(address: string): Promise<AddedNode> {
    return this.#json('POST', '/api/v1/nodes', { address });
  }

  planRemoval(name: string): Promise<RemovalPlan> {
    return this.#json('DELETE', `/api/v1/nodes/${encode(name)}?dryRun=true`);
  }

  removeNode(name: string, force: boolean): Promise<RemovalProgress> {
    return this.#json('DELETE', `/api/v1/nodes/${encode(name)}?force=${force}`);
  }

  removalProgress(name: string): Promise<RemovalProgress> {
    return this.#json('GET', `/api/v1/nodes/${encode(name)}/removal`);
  }

  async reportEnd(name: string, bootEpoch: number | undefined): Promise<void> {
    const query = bootEpoch === undefined ? '' : `?bootEpoch=${bootEpoch}`;
    await this.#json('POST', `/api/v1/nodes/${encode(name)}/ended${query}`);
  }

  keyring(): Promise<KeyringStatus> {
    return this.#json('GET', '/api/v1/keyring');
  }

  installKey(key: string): Promise<KeyringStatus> {
    return this.#json('POST', '/api/v1/keyring/keys', { key });
  }

  useKey(id: string, force: boolean): Promise<KeyringStatus> {
    return this.#json('PUT', '/api/v1/keyring/primary', { id, force });
  }

  removeKey(id: string, force: boolean): Promise<KeyringStatus> {
    return this.#json('DELETE', `/api/v1/keyring/keys/${encode(id)}?force=${force}`);
  }

  recoverShards(acceptLoss: boolean): Promise<ShardRecovery> {
    return this.#json('POST', '/api/v1/shards/recover', { acceptLoss });
  }

  sessions(limit: number, cursor: string | null): Promise<SessionPage> {
    const after = cursor === null ? '' : `&cursor=${encode(cursor)}`;
    return this.#json('GET', `/api/v1/sessions?limit=${limit}${after}`);
  }

  session(clientId: string): Promise<SessionDetail> {
    return this.#json('GET', `/api/v1/sessions/${encode(clientId)}`);
  }

  explain(clientId: string): Promise<SessionExplanation> {
    return this.#json('GET', `/api/v1/sessions/${encode(clientId)}/explain`);
  }

  clients(limit: number, cursor: string | null): Promise<ClientPage> {
    const after = cursor === null ? '' : `&cursor=${encode(cursor)}`;
    return this.#json('GET', `/api/v1/clients?limit=${limit}${after}`);
  }

  client(clientId: string): Promise<ClientDetail> {
    return this.#json('GET', `/api/v1/clients/${encode(clientId)}`);
  }

  async kickClient(clientId: string): Promise<void> {
    await this.#json('POST', `/api/v1/clients/${encode(clientId)}/kick`);
  }

  shares(): Promise<ShareList> {
    return this.#json('GET', '/api/v1/shares');
  }

  /** @param key the whole Topic Filter, `$share/name/filter` */
  share(key: string): Promise<ShareDetail> {
    return this.#json('GET', `/api/v1/shares/${encode(key)}`);
  }

  users(): Promise<{ users: UserReport[] }> {
    return this.#json('GET', '/api/v1/users');
  }

  addUser(name: string, change: UserChange): Promise<UserReport> {
    return this.#json('POST', `/api/v1/users/${encode(name)}`, change);
  }

  changeUser(name: string, change: UserChange): Promise<UserReport> {
    return this.#json('PATCH', `/api/v1/users/${encode(name)}`, change);
  }

  async deleteUser(name: string): Promise<void> {
    await this.#json('DELETE', `/api/v1/users/${encode(name)}`);
  }

  roles(): Promise<{ roles: Role[] }> {
    return this.#json('GET', '/api/v1/roles');
  }

  setRole(name: string, rules: readonly Rule[]): Promise<Role> {
    return this.#json('PUT', `/api/v1/roles/${encode(name)}`, { rules });
  }

  async deleteRole(name: string): Promise<void> {
    await this.#json('DELETE', `/api/v1/roles/${encode(name)}`);
  }

  bans(): Promise<{ bans: Ban[] }> {
    return this.#json('GET', '/api/v1/bans');
  }

  ban(ban: Ban): Promise<Ban> {
    return this.#json('POST', '/api/v1/bans', ban);
  }

  async liftBan(kind: Ban['kind'], value: string): Promise<void> {
    await this.#json('POST', '/api/v1/bans/lift', { kind, value });
  }

  testAccess(question: AccessQuestion): Promise<AccessAnswer> {
    return this.#json('POST', '/api/v1/acl/test', question);
  }

  async kick(clientId: string): Promise<void> {
    await this.#json('POST', `/api/v1/sessions/${encode(clientId)}/kick`);
  }

  async deleteSession(clientId: string): Promise<void> {
    await this.#json('DELETE', `/api/v1/sessions/${encode(clientId)}`);
  }

  /** Lets the process end. */
  close(): void {
    this.#agent.destroy();
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    return this.#parse(await this.#send(method, path, body), [200, 201, 202, 204]);
  }

  async #parse<T>(answer: Answer, good: readonly number[]): Promise<T> {
    if (answer.status === 204) return undefined as T;
    let parsed: unknown;
    try {
      parsed = JSON.parse(answer.text);
    } catch {
      parsed = undefined;
    }
    if (typeof parsed !== 'object' || parsed === null) {
      throw await failure('BROKER_ERR_ADMIN_PROTOCOL', `${this.url} (HTTP ${answer.status})`);
    }
    if (good.includes(answer.status)) return parsed as T;
    const { code, message } = parsed as { code?: unknown; message?: unknown };
    throw await failure(String(code), String(message));
  }

  async #send(method: string, path: string, body?: object): Promise<Answer> {
    try {
      return await this.#exchange(method, path, body);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === 'TIMEOUT') throw await failure('BROKER_ERR_TIMEOUT', this.url, error);
      // HPE_…: it speaks, but not HTTP.
      if (typeof code === 'string' && (code.startsWith('HPE_') || code === 'TOO_LARGE')) {
        throw await failure('BROKER_ERR_ADMIN_PROTOCOL', this.url, error);
      }
      const why = typeof code === 'string' ? ` (${code})` : '';
      throw await failure('BROKER_ERR_ADMIN_UNREACHABLE', `${this.url}${why}`, error);
    }
  }

  #exchange(method: string, path: string, body?: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const outgoing = request(
        {
          host: this.#host,
          port: this.#port,
          method,
          path,
          agent: this.#agent,
          timeout: ANSWER_TIMEOUT_MS,
          headers: payload === undefined ? {} : { 'content-type': 'application/json' },
        },
        (incoming) => collect(incoming).then(resolve, reject),
      );
      outgoing.on('timeout', () => {
        outgoing.destroy(Object.assign(new Error('no answer'), { code: 'TIMEOUT' }));
      });
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }
}

async function collect(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) {
      throw Object.assign(new Error('answer too large'), { code: 'TOO_LARGE' });
    }
    chunks.push(chunk);
  }
  return { status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/**
 * A BrokerError for `code`. The table is loaded only when something failed; a message of the node
 * repeats the table's sentence, which is taken off again.
 */
async function failure(code: string, message: string, cause?: unknown): Promise<Error> {
  const { BROKER_ERRORS, BrokerError, isBrokerErrorCode } = await import('@shoal/broker/errors');
  if (!isBrokerErrorCode(code)) {
    return new BrokerError('BROKER_ERR_ADMIN_PROTOCOL', `${code}: ${message}`, { cause });
  }
  const known: BrokerErrorCode = code;
  const sentence = BROKER_ERRORS[known].message;
  const detail = message === sentence ? '' : message.replace(`${sentence}: `, '');
  return new BrokerError(known, detail, { cause });
}
