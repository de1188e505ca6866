import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Api, ApiContext } from './context.ts';

const heartbeatMs = 15_000;

/** GET /v1/events: what happened, as server-sent events (WHATWG HTML 9.2), or as JSON for `accept: application/json`. */
export function eventRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/events',
    {
      // HEAD would start a stream that nobody ends.
      exposeHeadRoute: false,
      config: { stream: true },
      schema: {
        summary:
          'What happened: a stream of server-sent events, resumable by Last-Event-ID; a list with accept: application/json',
        querystring: z.strictObject({ after: z.coerce.number({ error: 'an event id' }).int().optional() }),
      },
    },
    async (request, reply) => {
      const header = request.headers['last-event-id'];
      const resume = typeof header === 'string' && /^\d{1,16}$/.test(header) ? Number(header) : undefined;
      // A browser that comes back asks the same address again, and says here where it was.
      const after = resume ?? request.query.after;
      if (request.headers.accept?.includes('application/json')) return { events: context.events.since(after) };
      reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
      return reply.send(Readable.from(stream(context, after, request.signal)));
    },
  );
}

async function* stream(
  { events, closing }: ApiContext,
  after: number | undefined,
  gone: AbortSignal,
): AsyncGenerator<string> {
  let last = after;
  yield 'retry: 1000\n\n';
  while (!gone.aborted && !closing.aborted) {
    const fresh = events.since(last);
    for (const event of fresh) {
      last = event.id;
      yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    }
    if (fresh.length === 0 && !(await events.added.next(heartbeatMs, gone, closing))) yield ': still here\n\n';
  }
}
