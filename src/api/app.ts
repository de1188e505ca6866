import { setImmediate } from 'node:timers/promises';
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { createJsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { problemSchema } from '../schema.ts';
import { agentRoutes } from './agents.ts';
import { cacheRoutes } from './cache.ts';
import { openServer, type TlsIdentity } from './connections.ts';
import type { Api, ApiContext } from './context.ts';
import { dashboardRoutes } from './dashboard.ts';
import { doctorRoutes } from './doctor.ts';
import { eventRoutes } from './events.ts';
import { explainRoutes } from './explain.ts';
import { frontRoutes } from './front.ts';
import { guard } from './guard.ts';
import { keyRoutes } from './keys.ts';
import { metricRoutes } from './metrics.ts';
import { poolRoutes } from './pools.ts';
import { answerProblem, answerUnreadable, fieldErrors } from './problems.ts';
import { realServerRoutes } from './real-servers.ts';
import { statusRoutes } from './status.ts';

const bodyLimit = 1024 * 1024;

const toJsonSchema = createJsonSchemaTransform({ zodToJsonConfig: { unrepresentable: 'any' } });
/** What every route may answer, for the OpenAPI document. */
const anyAnswer = {
  200: { description: 'It is so' },
  default: {
    description: 'A problem (RFC 9457)',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  },
};

/** Builds the REST API; the composition root listens. @param tls undefined: plain HTTP */
export async function buildApi(
  context: Omit<ApiContext, 'closing'>,
  log: FastifyBaseLogger,
  tls?: TlsIdentity,
): Promise<Api> {
  const app: Api = fastify({
    bodyLimit,
    forceCloseConnections: true,
    logController: new LogController({ disableRequestLogging: true }),
    loggerInstance: log,
    frameworkErrors: answerProblem,
    clientErrorHandler: answerUnreadable,
    serverFactory: (handler) => openServer(handler, tls),
  }).withTypeProvider<ZodTypeProvider>();
  const closing = new AbortController();
  // What waits is answered before the connections are cut.
  app.addHook('preClose', async () => {
    closing.abort();
    await setImmediate();
  });
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (data) => {
    // No body comes as null.
    const result = schema.safeParse(data ?? undefined);
    if (result.success) return { value: result.data };
    const fields = fieldErrors(result.error);
    const where = httpPart === 'querystring' ? 'query parameter ' : '';
    const [first] = fields;
    return {
      error: new RequestError('INVALID_REQUEST', `${where}${first?.path || 'the body'}: ${first?.message}`, fields),
    };
  });
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(answerProblem);
  const allowed = new Map<string, string[]>();
  app.addHook('onRoute', ({ url, method }) => {
    allowed.set(url, [...(allowed.get(url) ?? []), ...[method].flat()]);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const [, methods] = [...allowed].find(([pattern]) => isAt(path, pattern)) ?? [];
    if (!methods) throw new RequestError('NOT_FOUND', `there is no ${path}; GET /openapi.json lists what there is`);
    reply.header('allow', methods.join(', '));
    throw new RequestError('METHOD_NOT_ALLOWED', `${path} does not take ${request.method}, but ${methods.join(', ')}`);
  });
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'string' },
    // Many clients send the content type with a DELETE too: an empty body is none.
    (request, body, done) => (body === '' ? done(null) : parseJson(request, body, done)),
  );
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'dsr-controller', version: '1' },
      components: { schemas: { Problem: z.toJSONSchema(problemSchema) as object } },
    },
    transform: (route) => {
      const { schema, url } = toJsonSchema(route);
      return { schema: { ...schema, response: { ...anyAnswer, ...(schema.response as object) } }, url };
    },
  });
  guard(app, context.trust);
  const whole: ApiContext = { ...context, closing: closing.signal };
  await app.register(async (api: Api) => {
    for (const routes of [
      poolRoutes,
      realServerRoutes,
      statusRoutes,
      agentRoutes,
      eventRoutes,
      doctorRoutes,
      explainRoutes,
      cacheRoutes,
      metricRoutes,
      keyRoutes,
      frontRoutes,
    ])
      routes(api, whole);
  });
  await app.register(async (api: Api) => dashboardRoutes(api));
  let document: Buffer | undefined;
  app.get('/openapi.json', { config: { access: 'open' }, schema: { summary: 'This document' } }, async (_, reply) => {
    document ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json').send(document);
  });
  return app;
}

/** Whether a path is one of a route such as /v1/pools/:pool. */
function isAt(path: string, pattern: string): boolean {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  return parts.length === wanted.length && wanted.every((part, i) => part.startsWith(':') || part === parts[i]);
}
