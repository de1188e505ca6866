// Changes the document at argv[2] for ever, and says each revision that is on disk: made to be killed.
import { z } from 'zod';
import { openDocument } from '../../src/store/document.ts';

const document = openDocument({
  path: process.argv[2] ?? '',
  version: 1,
  schema: z.strictObject({ revision: z.number(), text: z.string() }),
  initial: { revision: 0, text: '' },
});

for (;;) {
  const revision = document.get().revision + 1;
  await document.change(() => ({ revision, text: String(revision % 10).repeat(Number(process.argv[3])) }));
  process.stdout.write(`${revision}\n`);
}
