import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { nameSchema } from '../schema.ts';
import type { Made } from '../trust/key-book.ts';
import type { Trust } from '../trust/trust.ts';
import type { Api, ApiContext } from './context.ts';
import { actOf, refuseOtherMachine } from './guard.ts';

const seconds = z
  .number({ error: 'seconds, a whole number' })
  .int({ error: 'seconds, a whole number' })
  .min(1, { error: 'at least 1' })
  .max(10 * 365 * 86_400, { error: 'at most ten years' });
const tokenBody = z.strictObject({
  role: z.enum(['admin', 'viewer'], { error: '"admin" or "viewer"' }),
  /** What it is for. */
  name: z.string().min(1, { error: 'what it is for, in a few words' }).max(100, { error: 'at most 100 characters' }),
  /** Absent: it does not expire. */
  expiresInSeconds: seconds.optional(),
});
const invitationBody = z.strictObject({
  agent: nameSchema,
  expiresInSeconds: seconds.max(7 * 86_400, { error: 'at most a week' }).default(3600),
});
const joinBody = z.strictObject({ machineId: z.string().min(1).max(128) });
const when = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
const shown = ({ id, token, expires }: Made) => ({ id, token, expires: when(expires) });
const made = z.object({ id: z.string(), token: z.string(), expires: z.string().nullable() });
/** An agent counts from its own clock. */
const agentsMade = made.extend({ expiresInSeconds: z.number().nullable() });
const shownToAgent = (key: Made) => ({
  ...shown(key),
  expiresInSeconds: key.expires === null ? null : Math.round((key.expires - Date.now()) / 1000),
});
const params = z.object({ name: nameSchema });

/** /v1/tokens, /v1/invitations, /v1/join, /v1/ca and /v1/audit: who may speak to the controller. */
export function keyRoutes(api: Api, context: ApiContext): void {
  const trust = (): Trust => {
    if (context.trust) return context.trust;
    throw new RequestError(
      'NOT_FOUND',
      'this controller runs with "insecure": true, where there are no tokens; take that setting out of its config file and start it again',
    );
  };

  api.get(
    '/v1/whoami',
    {
      config: { access: 'view' },
      schema: {
        summary: 'Who is asking',
        response: { 200: z.object({ kind: z.string(), role: z.string().nullable(), name: z.string().nullable() }) },
      },
    },
    async ({ caller }) => ({
      kind: caller.kind,
      role: caller.kind === 'key' ? caller.role : null,
      name: caller.kind === 'key' ? caller.name : null,
    }),
  );

  api.get('/v1/tokens', { config: { access: 'change' }, schema: { summary: 'Who has a token' } }, async () => ({
    tokens: Object.entries(trust().keys.all()).map(([id, { role, name, created, expires, machineId }]) => ({
      id,
      role,
      name,
      ...(machineId !== null && { machineId }),
      created: when(created),
      expires: when(expires),
      expired: expires !== null && expires <= Date.now(),
    })),
  }));

  api.post(
    '/v1/tokens',
    { schema: { summary: 'Make a token; it is shown this once', body: tokenBody, response: { 201: made } } },
    async (request, reply) => {
      const { role, name, expiresInSeconds } = request.body;
      const { keys, audit } = trust();
      const key = await keys.make(role, name, expiresInSeconds === undefined ? null : expiresInSeconds * 1000);
      await audit.add({
        ...actOf(request),
        status: 201,
        after: { id: key.id, role, name, expires: when(key.expires) },
      });
      return reply.code(201).send(shown(key));
    },
  );

  api.delete(
    '/v1/tokens/:id',
    {
      schema: {
        summary: 'Revoke a token, at once',
        params: z.object({ id: z.string().regex(/^[0-9a-f]{16}$/, { error: 'an id of 16 digits, as in the list' }) }),
      },
    },
    async (request) => {
      const { keys, audit } = trust();
      const { id } = request.params;
      const { role, name } = keys.all()[id] ?? {};
      if (!(await keys.revoke(id)))
        throw new RequestError('NOT_FOUND', `there is no token ${id}; GET /v1/tokens lists them`);
      await audit.add({ ...actOf(request), status: 200, before: { id, role, name } });
      return { revoked: id };
    },
  );

  api.post(
    '/v1/invitations',
    {
      schema: {
        summary: 'Invite an agent: what to run on its host, once',
        body: invitationBody,
        response: {
          201: made.extend({
            agent: z.string(),
            /** URLs of this controller, best first. */
            urls: z.array(z.string()),
            caSha256: z.string(),
            command: z.string(),
          }),
        },
      },
    },
    async (request, reply) => {
      const { agent, expiresInSeconds } = request.body;
      const { keys, audit } = trust();
      const { reach } = context;
      const [url] = reach?.urls() ?? [];
      if (!reach || url === undefined)
        throw new RequestError(
          'CONFLICT',
          'no other host can reach this controller: it listens on loopback, or the interface has no address yet. Set "listen" in its config file to the director\'s own address, such as "192.0.2.10:7100", and start it again',
        );
      const key = await keys.invite(agent, expiresInSeconds * 1000);
      await audit.add({ ...actOf(request), status: 201, after: { id: key.id, agent, expires: when(key.expires) } });
      const command = `dsr-agent join ${url} --token ${key.token} --ca-sha256 ${reach.fingerprint}`;
      return reply.code(201).send({ ...shown(key), agent, urls: reach.urls(), caSha256: reach.fingerprint, command });
    },
  );

  api.post(
    '/v1/join',
    {
      config: { access: 'invitation' },
      schema: {
        summary: "Make an invitation into the agent's own token, for one machine",
        body: joinBody,
        response: { 200: agentsMade.extend({ agent: z.string(), ca: z.string() }) },
      },
    },
    async (request) => {
      const { keys, audit } = trust();
      const { caller, body } = request;
      if (caller.kind !== 'key' || !context.reach) throw new RequestError('FORBIDDEN', 'only who was invited may join');
      const key = await keys.redeem(caller.id, body.machineId);
      // The invitation says that this machine may have the name, whoever had it before.
      const known = context.agents.all().get(caller.name);
      if (known && known.report.machineId !== body.machineId) await context.agents.forget(caller.name);
      await audit.add({ ...actOf(request), status: 200, after: { id: key.id, agent: caller.name, ...body } });
      return { ...shownToAgent(key), agent: caller.name, ca: context.reach.authority };
    },
  );

  api.post(
    '/v1/agents/:name/token',
    {
      config: { access: 'agent' },
      schema: {
        summary: 'A new token for an agent in place of its present one',
        params,
        body: joinBody,
        response: { 200: agentsMade },
      },
    },
    async (request) => {
      const { keys, audit } = trust();
      const { caller, body } = request;
      refuseOtherMachine(caller, body.machineId);
      if (caller.kind !== 'key') throw new RequestError('FORBIDDEN', 'only an agent has a token to renew');
      const key = await keys.renew(caller.id);
      await audit.add({ ...actOf(request), status: 200, after: { id: key.id } });
      return shownToAgent(key);
    },
  );

  api.get(
    '/v1/ca',
    { config: { access: 'open' }, schema: { summary: "The certificate of this controller's authority, as PEM" } },
    async (_, reply) => {
      if (!context.reach)
        throw new RequestError('NOT_FOUND', 'this controller speaks plain HTTP: it has no certificate');
      return reply.type('application/x-pem-file').send(context.reach.authority);
    },
  );

  api.get(
    '/v1/audit',
    {
      config: { access: 'change' },
      schema: {
        summary: 'Who changed what and who was refused, the newest last',
        querystring: z.strictObject({
          last: z.coerce.number({ error: 'a whole number' }).int().min(0).max(1000).default(100),
        }),
      },
    },
    async ({ query }) => {
      const { audit, refused } = trust();
      const both = [...audit.last(query.last), ...refused.last(query.last)];
      return { entries: both.sort((a, b) => (a.time < b.time ? -1 : 1)).slice(-query.last || both.length) };
    },
  );
}
