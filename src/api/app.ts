import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { createJsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { RequestError } from '../errors.ts';
import { agentRoutes } from './agents.ts';
import type { Api, ApiContext } from './context.ts';
import { eventRoutes } from './events.ts';
import { poolRoutes } from './pools.ts';
import { answerProblem, fieldErrors } from './problems.ts';
import { realServerRoutes } from './real-servers.ts';
import { statusRoutes } from './status.ts';

const bodyLimit = 1024 * 1024;

/** Builds the REST API; the composition root listens. */
export async function buildApi(context: Omit<ApiContext, 'closing'>, log: FastifyBaseLogger): Promise<Api> {
  const app: Api = fastify({
    bodyLimit,
    forceCloseConnections: true,
    logController: new LogController({ disableRequestLogging: true }),
    loggerInstance: log,
  }).withTypeProvider<ZodTypeProvider>();
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (data) => {
    const result = schema.safeParse(data);
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
  app.setNotFoundHandler((request) => {
    throw new RequestError(
      'NOT_FOUND',
      `there is no ${request.method} ${request.url.split('?')[0]}; GET /openapi.json lists what there is`,
    );
  });
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  );
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'dsr-controller', version: '1' } },
    transform: createJsonSchemaTransform({ zodToJsonConfig: { unrepresentable: 'any' } }),
  });
  const whole: ApiContext = { ...context, closing: closing.signal };
  await app.register(async (api: Api) => {
    for (const routes of [poolRoutes, realServerRoutes, statusRoutes, agentRoutes, eventRoutes]) routes(api, whole);
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  return app;
}
