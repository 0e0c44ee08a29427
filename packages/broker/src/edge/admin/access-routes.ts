/** Routes for users, roles and bans. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ACTIONS, BAN_KINDS, type Ban, RECORDS } from '../../access/records.ts';
import { BrokerError } from '../../errors.ts';
import type { AccessBackend } from './access-backend.ts';

/** Bytes of a body with the rules of a role. */
const RULES_BODY_BYTES_MAX = 262_144;

const change = z.strictObject({
  password: z.string().optional(),
  enabled: z.boolean().optional(),
  roles: RECORDS.user.shape.roles.unwrap().optional(),
  rules: RECORDS.user.shape.rules.unwrap().optional(),
});

const question = z.strictObject({
  user: z.string().default(''),
  clientId: z.string().default(''),
  action: z.enum(ACTIONS).exclude(['all']),
  topic: z.string().min(1).max(65_535),
  qos: z.int().min(0).max(2).default(0),
  retain: z.boolean().default(false),
});

const bannedOne = z.strictObject({ kind: z.enum(BAN_KINDS), value: z.string().min(1) });

/** @throws BROKER_ERR_REQUEST_INVALID that names the field */
function read<T>(type: z.ZodType<T>, body: unknown): T {
  const parsed = type.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const field = path.map(String).join('.');
  throw new BrokerError('BROKER_ERR_REQUEST_INVALID', `${field || 'the body'}: ${message}`);
}

interface Named {
  Params: { name: string };
}

export function addAccessRoutes(
  app: FastifyInstance,
  access: AccessBackend,
  bounded: <T>(work: Promise<T>) => Promise<T>,
): void {
  const options = { bodyLimit: RULES_BODY_BYTES_MAX };
  app.get('/api/v1/users', async () => ({ users: access.users() }));
  app.post<Named>('/api/v1/users/:name', options, async ({ params, body }, reply) =>
    reply.status(201).send(await bounded(access.setUser(params.name, read(change, body), true))),
  );
  app.patch<Named>('/api/v1/users/:name', options, async ({ params, body }) =>
    bounded(access.setUser(params.name, read(change, body), false)),
  );
  app.delete<Named>('/api/v1/users/:name', async ({ params }, reply) => {
    await bounded(access.deleteUser(params.name));
    return reply.status(204).send();
  });
  app.get('/api/v1/roles', async () => ({ roles: access.roles() }));
  app.put<Named>('/api/v1/roles/:name', options, async ({ params, body }) => {
    const { rules } = read(RECORDS.role.pick({ rules: true }), body);
    return bounded(access.setRole(params.name, rules));
  });
  app.delete<Named>('/api/v1/roles/:name', async ({ params }, reply) => {
    await bounded(access.deleteRole(params.name));
    return reply.status(204).send();
  });
  app.get('/api/v1/bans', async () => ({ bans: access.bans() }));
  app.post('/api/v1/bans', async ({ body }, reply) => {
    const ban: Ban = read(RECORDS.ban, body);
    return reply.status(201).send(await bounded(access.setBan(ban)));
  });
  app.post('/api/v1/bans/lift', async ({ body }, reply) => {
    await bounded(access.deleteBan(read(bannedOne, body)));
    return reply.status(204).send();
  });
  app.post('/api/v1/acl/test', async ({ body }) => access.test(read(question, body)));
}
