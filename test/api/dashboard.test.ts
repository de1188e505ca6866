import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify from 'fastify';
import t, { type Test } from 'tap';
import type { Api } from '../../src/api/context.ts';
import { dashboardRoutes } from '../../src/api/dashboard.ts';
import { answerProblem } from '../../src/api/problems.ts';
import { folder, isProblem } from './site.ts';

/** The routes alone, over a folder of the test. */
async function serve(t: Test, files: Record<string, string>) {
  const built = folder(t);
  mkdirSync(join(built, 'assets'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(built, name), text);
  writeFileSync(join(built, '..', 'secret'), 'secret');
  const api = fastify() as unknown as Api;
  api.setErrorHandler(answerProblem);
  await dashboardRoutes(api, built);
  t.teardown(() => api.close());
  return async (url: string, headers = {}) => {
    const answer = await api.inject({ url, headers });
    const json = String(answer.headers['content-type']).includes('json');
    return {
      status: answer.statusCode,
      headers: answer.headers as Record<string, string | undefined>,
      body: json ? answer.json() : answer.body,
    };
  };
}

const page = { 'index.html': '<!doctype html>', 'assets/index-A1b2.js': 'let a', 'assets/index-c3.css': 'a{}' };

t.test('the page comes whole from here, in no frame, and is asked for anew each time', async (t) => {
  const get = await serve(t, page);
  const { status, headers, body } = await get('/');
  t.equal(status, 200);
  t.equal(body, '<!doctype html>');
  t.match(headers['content-type'], /^text\/html/);
  t.match(headers['content-security-policy'], /^default-src 'self'; .*frame-ancestors 'none'/);
  t.notMatch(headers['content-security-policy'], /unsafe/);
  t.equal(headers['x-content-type-options'], 'nosniff');
  t.equal(headers['x-frame-options'], 'DENY');
  t.equal(headers['cache-control'], 'no-cache');
  const again = await get('/', { 'if-none-match': headers.etag });
  t.equal(again.status, 304, 'it is sent again only when it is another one');
});

t.test('what has a hash in its name is kept for ever', async (t) => {
  const get = await serve(t, page);
  const { status, headers } = await get('/assets/index-A1b2.js');
  t.equal(status, 200);
  t.match(headers['content-type'], /javascript/);
  t.equal(headers['x-content-type-options'], 'nosniff');
  t.match(headers['cache-control'], /immutable/);
});

t.test('there is no way out of the folder', async (t) => {
  const get = await serve(t, page);
  for (const name of ['..%2f..%2fsecret', '..%2findex.html', '..%2f', 'x%00', 'none.js', '..%5csecret'])
    isProblem(t, await get(`/assets/${name}`), 404, 'NOT_FOUND');
});

t.test('before the build the page says what to do', async (t) => {
  const get = await serve(t, {});
  const answer = await get('/');
  isProblem(t, answer, 404, 'NOT_FOUND');
  t.match(answer.body.detail, 'npm run build');
});
