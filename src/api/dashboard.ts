import { existsSync } from 'node:fs';
import { join } from 'node:path';
import files from '@fastify/static';
import { RequestError } from '../errors.ts';
import type { Api } from './context.ts';

/** Where `npm run build` puts the pages; this file runs from dist or from its source. */
const built = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../../dist/web' : '../../web');

/** Everything comes from this server: no other scripts, styles or pictures, and no page around it. */
const headers = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
};

/** A file's name, and no way out of the folder. */
const plain = /^\w[\w.-]*$/;

const notBuilt = 'the dashboard is not built: run "npm run build" and start the controller again';

/** The dashboard at /. Its assets carry a hash of what is in them in their names. */
export async function dashboardRoutes(api: Api, folder = built): Promise<void> {
  const isBuilt = existsSync(join(folder, 'index.html'));
  if (isBuilt) await api.register(files, { root: folder, serve: false, cacheControl: false });

  api.get('/', { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) => {
    if (!isBuilt) throw new RequestError('NOT_FOUND', notBuilt);
    return reply.headers(headers).header('cache-control', 'no-cache').sendFile('index.html');
  });

  api.get<{ Params: { file: string } }>(
    '/assets/:file',
    { config: { access: 'open' }, schema: { hide: true } },
    async ({ params }, reply) => {
      const file = join('assets', params.file);
      if (!plain.test(params.file) || !existsSync(join(folder, file)))
        throw new RequestError('NOT_FOUND', `the dashboard has no ${params.file}; load it again`);
      return reply.headers(headers).header('cache-control', 'public, max-age=31536000, immutable').sendFile(file);
    },
  );
}
