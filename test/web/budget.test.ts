import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { root } from '../api/run.ts';

const built = join(root, 'dist/web');
const mostBytes = 60_000;

t.test('the whole page is small, and asks nobody else for anything', async (t) => {
  const files = readdirSync(built, { recursive: true, encoding: 'utf8' })
    .map((name) => join(built, name))
    .filter((path) => statSync(path).isFile());
  const bytes = files.reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0);
  t.comment(`${bytes} bytes in ${files.length} files, each compressed with gzip`);
  t.ok(bytes > 5000 && bytes < mostBytes, `${bytes} of ${mostBytes}`);
  for (const path of files) {
    const text = readFileSync(path, 'utf8');
    const elsewhere = [...text.matchAll(/https?:\/\/[^\s"'`)<>]+/g)].map(([url]) => url);
    t.strictSame(
      elsewhere.filter((url) => !/^http:\/\/www\.w3\.org\/(1999|2000|1998)\//.test(url)),
      [],
      path,
    );
  }
  const html = readFileSync(join(built, 'index.html'), 'utf8');
  t.notMatch(html, /<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=/, 'nothing that its policy forbids');
});
