/**
 * The admin API: JSON over HTTP on loopback, behind `shoal`, probes and Prometheus.
 *
 * Routes translate; all knowledge is in the {@link AdminBackend}. There is no authentication, so it
 * listens on loopback only, and a web page in a browser on the same machine must not reach it: a
 * foreign Host (DNS rebinding) or Origin (cross-site request) is refused.
 *
 * @example
 * const api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
 * await fetch(`http://${api.address}/ready`);
 * await api.close();
 */

import { formatAddress, isLoopback, readAddress } from '@shoal/swim';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { loopbackAddress } from '../../address.ts';
import { BrokerError, toBrokerError } from '../../errors.ts';
import type { Log } from '../../ports.ts';
import { addAccessRoutes } from './access-routes.ts';
import type { AdminBackend, ErrorBody } from './admin-backend.ts';
import { AdminConnections } from './admin-connections.ts';
import type { MetricsSource } from './metrics.ts';

export interface AdminApiOptions {
  /** HOST:PORT on loopback; port 0 takes a free one. */
  readonly listen: string;
  readonly backend: AdminBackend;
  readonly metrics: MetricsSource;
  readonly log?: Log;
  /** Longest time for one answer; default 30,000. */
  readonly answerTimeoutMs?: number;
}

export interface AdminApi {
  /** HOST:PORT listened on. */
  readonly address: string;
  /** Ends open connections; resolves when the port is free. */
  close(): Promise<void>;
}

const EPOCH = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const BODY_BYTES_MAX = 16_384;
/** Bytes of a request's line and headers: a Client Identifier of 65,535 bytes, percent-encoded, and some. */
const HEADER_BYTES_MAX = 256 * 1024;
/** Characters of a part of a path, and of a cursor, which is the same in base64. */
const ID_CHARACTERS_MAX = 3 * 65_535;
/** Times for the headers of a request and for all of it, and how often they are looked at. */
const HEADERS_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 5_000;
const TIMEOUTS_CHECK_MS = 500;

/**
 * Listens and serves.
 *
 * @throws BROKER_ERR_ADDRESS_NOT_LOOPBACK, BROKER_ERR_ADDRESS_IN_USE, BROKER_ERR_ADDRESS_UNUSABLE;
 *   nothing is left behind
 */
export async function startAdminApi(options: AdminApiOptions): Promise<AdminApi> {
  const wanted = loopbackAddress('admin.listen', options.listen);
  const app = await createAdminApp(options);
  new AdminConnections(app.server);
  try {
    await app.listen({ host: wanted.host, port: wanted.port });
  } catch (error) {
    await app.close();
    const inUse = (error as { code?: unknown }).code === 'EADDRINUSE';
    throw new BrokerError(
      inUse ? 'BROKER_ERR_ADDRESS_IN_USE' : 'BROKER_ERR_ADDRESS_UNUSABLE',
      `admin.listen ${options.listen}`,
      { cause: error },
    );
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : wanted.port;
  return {
    address: formatAddress(wanted.host, port),
    close: () => app.close(),
  };
}

/** The application without a socket, for tests by `inject`. @internal */
export async function createAdminApp(options: AdminApiOptions): Promise<FastifyInstance> {
  // Loaded here, so that an import of the broker for its types does not load a web server.
  const { fastify } = await import('fastify');
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUTS_CHECK_MS,
    },
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: ID_CHARACTERS_MAX },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: false } },
  });
  app.addHook('onRequest', async (request) => refuseForeign(request));
  app.setErrorHandler((error: unknown, request, reply) => {
    const known = fromHttpError(error);
    if (known.code === 'BROKER_ERR_INTERNAL') {
      options.log?.('error', 'admin request failed', { url: request.url, error: String(error) });
    }
    return sendError(reply, known);
  });
  app.setNotFoundHandler((request, reply) => {
    const detail = `${request.method} ${request.url.slice(0, 200)}`;
    return sendError(reply, new BrokerError('BROKER_ERR_ROUTE_UNKNOWN', detail));
  });
  const timeoutMs = options.answerTimeoutMs ?? 30_000;
  addProbeRoutes(app, options);
  addNodeRoutes(app, options.backend, timeoutMs);
  addKeyringRoutes(app, options.backend, timeoutMs);
  addShardRoutes(app, options.backend, timeoutMs);
  addSessionRoutes(app, options.backend, timeoutMs);
  addClientRoutes(app, options.backend, timeoutMs);
  addShareRoutes(app, options.backend, timeoutMs);
  addAccessRoutes(app, options.backend.access, (work) => within(work, timeoutMs));
  return app;
}

function addProbeRoutes(app: FastifyInstance, { backend, metrics }: AdminApiOptions): void {
  app.get('/health', async () => backend.health());
  // `?replicated=true` also waits for full copies: what a rolling restart asks before the next node.
  app.get<{ Querystring: { replicated?: boolean } }>(
    '/ready',
    { schema: { querystring: object({ replicated: { type: 'boolean' } }) } },
    async (request, reply) => {
      const report = backend.readiness();
      const well = report.ready && !(request.query.replicated && report.reasons.length > 0);
      return reply.status(well ? 200 : 503).send(report);
    },
  );
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.contentType).send(await metrics.render()),
  );
}

function addNodeRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  const bounded = <T>(work: Promise<T>) => within(work, timeoutMs);
  app.get('/api/v1/cluster', async () => bounded(backend.clusterStatus()));
  app.post<{ Body: { address: string } }>(
    '/api/v1/nodes',
    { schema: { body: object({ address: { type: 'string', maxLength: 300 } }, ['address']) } },
    async ({ body }, reply) => {
      const parsed = readAddress(body.address);
      const problem = 'problem' in parsed ? parsed.problem : parsed.port === 0 ? 'port 0' : '';
      if (problem !== '') {
        throw new BrokerError(
          'BROKER_ERR_REQUEST_INVALID',
          `address must be HOST:PORT: ${problem}`,
        );
      }
      return reply.status(201).send(await bounded(backend.addNode(body.address)));
    },
  );
  const name = { type: 'string', minLength: 1, maxLength: 64 };
  const flag = { type: 'boolean' };
  app.delete<{ Params: { name: string }; Querystring: { dryRun?: boolean; force?: boolean } }>(
    '/api/v1/nodes/:name',
    { schema: { params: object({ name }), querystring: object({ dryRun: flag, force: flag }) } },
    async ({ params, query }, reply) => {
      if (query.dryRun) return bounded(backend.planRemoval(params.name));
      const progress = backend.removeNode(params.name, { force: query.force ?? false });
      return reply.status(202).send(await bounded(progress));
    },
  );
  app.post<{ Params: { name: string }; Querystring: { bootEpoch?: number } }>(
    '/api/v1/nodes/:name/ended',
    { schema: { params: object({ name }), querystring: object({ bootEpoch: EPOCH }) } },
    async ({ params, query }, reply) => {
      await bounded(backend.reportEnd(params.name, query.bootEpoch));
      return reply.status(204).send();
    },
  );
  app.get<{ Params: { name: string } }>(
    '/api/v1/nodes/:name/removal',
    { schema: { params: object({ name }) } },
    async ({ params }) => bounded(backend.removalProgress(params.name)),
  );
}

function addShardRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  app.post<{ Body: { acceptLoss?: boolean } }>(
    '/api/v1/shards/recover',
    { schema: { body: object({ acceptLoss: { type: 'boolean' } }) } },
    async ({ body }) =>
      within(backend.recoverShards({ acceptLoss: body.acceptLoss ?? false }), timeoutMs),
  );
}

function addKeyringRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  const bounded = <T>(work: Promise<T>) => within(work, timeoutMs);
  const id = { type: 'string', pattern: '^[0-9a-f]{8}$' };
  const force = { type: 'boolean' };
  app.get('/api/v1/keyring', async () => bounded(backend.keyring()));
  app.post<{ Body: { key: string } }>(
    '/api/v1/keyring/keys',
    { schema: { body: object({ key: { type: 'string', maxLength: 100 } }, ['key']) } },
    async ({ body }) => bounded(backend.installKey(body.key)),
  );
  app.put<{ Body: { id: string; force?: boolean } }>(
    '/api/v1/keyring/primary',
    { schema: { body: object({ id, force }, ['id']) } },
    async ({ body }) => bounded(backend.useKey(body.id, { force: body.force ?? false })),
  );
  app.delete<{ Params: { id: string }; Querystring: { force?: boolean } }>(
    '/api/v1/keyring/keys/:id',
    { schema: { params: object({ id }), querystring: object({ force }) } },
    async ({ params, query }) =>
      bounded(backend.removeKey(params.id, { force: query.force ?? false })),
  );
}

interface Page {
  Querystring: { limit?: number; cursor?: string };
}

const PAGE_SCHEMA = {
  querystring: object({
    limit: { type: 'integer', minimum: 1, maximum: 1000 },
    cursor: { type: 'string', minLength: 1, maxLength: ID_CHARACTERS_MAX },
  }),
};

interface ById {
  Params: { id: string };
}

const ID_SCHEMA = { params: object({ id: { type: 'string', minLength: 1 } }) };

function addSessionRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  const bounded = <T>(work: Promise<T>) => within(work, timeoutMs);
  app.get<Page>('/api/v1/sessions', { schema: PAGE_SCHEMA }, async ({ query }) =>
    bounded(backend.listSessions({ limit: query.limit ?? 100, cursor: query.cursor })),
  );
  const schema = ID_SCHEMA;
  const path = '/api/v1/sessions/:id';
  app.get<ById>(path, { schema }, async ({ params }) => bounded(backend.showSession(params.id)));
  app.get<ById>(`${path}/explain`, { schema }, async ({ params }) =>
    bounded(backend.explainSession(params.id)),
  );
  app.post<ById>(`${path}/kick`, { schema }, async ({ params }, reply) => {
    await bounded(backend.kickSession(params.id));
    return reply.status(204).send();
  });
  app.delete<ById>(path, { schema }, async ({ params }, reply) => {
    await bounded(backend.deleteSession(params.id));
    return reply.status(204).send();
  });
}

function addClientRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  const bounded = <T>(work: Promise<T>) => within(work, timeoutMs);
  app.get<Page>('/api/v1/clients', { schema: PAGE_SCHEMA }, async ({ query }) =>
    bounded(backend.listClients({ limit: query.limit ?? 100, cursor: query.cursor })),
  );
  const path = '/api/v1/clients/:id';
  app.get<ById>(path, { schema: ID_SCHEMA }, async ({ params }) =>
    bounded(backend.showClient(params.id)),
  );
  app.post<ById>(`${path}/kick`, { schema: ID_SCHEMA }, async ({ params }, reply) => {
    await bounded(backend.kickSession(params.id));
    return reply.status(204).send();
  });
}

function addShareRoutes(app: FastifyInstance, backend: AdminBackend, timeoutMs: number): void {
  app.get('/api/v1/shares', async () => within(backend.listShares(), timeoutMs));
  app.get<{ Params: { key: string } }>(
    '/api/v1/shares/:key',
    { schema: { params: object({ key: { type: 'string', minLength: 1 } }) } },
    async ({ params }) => within(backend.showShare(params.key), timeoutMs),
  );
}

function object(properties: Record<string, object>, required: readonly string[] = []): object {
  return { type: 'object', properties, required, additionalProperties: false };
}

function sendError(reply: FastifyReply, error: BrokerError): FastifyReply {
  const body: ErrorBody = { code: error.code, message: error.message, remedy: error.remedy };
  return reply.status(error.httpStatus).send(body);
}

/** Errors of fastify itself (schema, JSON, size) are the client's; any other unknown one is ours. */
function fromHttpError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new BrokerError('BROKER_ERR_REQUEST_INVALID', String(message), { cause: error });
  }
  return toBrokerError(error);
}

function refuseForeign(request: FastifyRequest): void {
  const { host, origin } = request.headers;
  const name = host === undefined ? '' : hostName(host);
  if (!isLoopback(name)) {
    throw new BrokerError('BROKER_ERR_REQUEST_FOREIGN', `Host ${host ?? 'is missing'}`);
  }
  if (origin !== undefined && origin !== `http://${host}`) {
    throw new BrokerError('BROKER_ERR_REQUEST_FOREIGN', `Origin ${origin}`);
  }
}

/** Host name of a Host header, whose port may be missing. */
function hostName(header: string): string {
  const parsed = readAddress(/:\d+$/.test(header) ? header : `${header}:0`);
  return 'host' in parsed ? parsed.host : '';
}

/** `work`, or BROKER_ERR_TIMEOUT: no request waits for ever on a cluster that cannot answer. */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new BrokerError('BROKER_ERR_TIMEOUT')), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
