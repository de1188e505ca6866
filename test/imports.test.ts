import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';

/** A part of the program: a folder or a file. What it may import besides itself, and which packages. */
interface Part {
  parts: string[];
  packages: string[];
}

const core = [
  'src/core/address.ts',
  'src/schema-parts.ts',
  'src/check-schema.ts',
  'src/url-schema.ts',
  'src/schema.ts',
  'src/core',
];
const base = [...core, 'src/errors.ts', 'src/loop.ts'];

/**
 * Imports point one way, from the bottom of this table to its top. A file belongs to the longest name that fits; a new
 * folder is declared here.
 */
const table: Record<string, Part> = {
  // The base, below the schema: text that is an address is known by it alone.
  'src/core/address.ts': { parts: [], packages: ['ipaddr.js'] },
  'src/schema-parts.ts': { parts: [], packages: ['zod'] },
  'src/check-schema.ts': { parts: ['src/schema-parts.ts'], packages: ['zod', 're2js'] },
  'src/url-schema.ts': { parts: ['src/core/address.ts', 'src/schema-parts.ts'], packages: ['zod'] },
  'src/schema.ts': {
    parts: ['src/core/address.ts', 'src/schema-parts.ts', 'src/check-schema.ts', 'src/url-schema.ts'],
    packages: ['zod'],
  },
  // Pure: no module that does I/O.
  'src/core': {
    parts: [
      'src/core/address.ts',
      'src/check-schema.ts',
      'src/url-schema.ts',
      'src/schema.ts',
      'src/handoff-schema.ts',
    ],
    packages: ['node:util'],
  },
  'src/errors.ts': { parts: [], packages: [] },
  'src/loop.ts': { parts: [], packages: [] },
  // The only one that speaks to the kernel.
  'src/kernel': { parts: [...core, 'src/errors.ts'], packages: ['node:', 'koffi', 'netlink'] },
  // Makes the checks: in the controller's process and in one of its own, whose composition root is src/check/prober-process.ts.
  'src/check': { parts: [...base, 'src/check-schema.ts', 'src/kernel'], packages: ['node:', 're2js', 'dns-packet'] },
  // What the front and the agents tell each other, and how connections go from one to the other.
  'src/handoff-schema.ts': { parts: ['src/core/address.ts', 'src/url-schema.ts'], packages: ['zod'] },
  'src/handoff': { parts: [...base, 'src/handoff-schema.ts', 'src/kernel'], packages: ['node:'] },
  'src/front': {
    parts: [...base, 'src/handoff-schema.ts', 'src/handoff', 'src/store/whole-file.ts'],
    packages: ['node:', 'undici'],
  },
  'src/front-settings.ts': { parts: ['src/settings.ts', 'src/url-schema.ts'], packages: ['zod'] },
  'src/store': { parts: base, packages: ['node:', 'zod'] },
  // Of the kernel it knows the contract, not the means.
  'src/director': { parts: [...base, 'src/store', 'src/kernel/kernel.ts'], packages: ['node:'] },
  // Who may speak to the controller, and as whom it shows itself.
  'src/trust': { parts: [...base, 'src/store'], packages: ['node:', 'zod', '@peculiar/x509', 'reflect-metadata'] },
  'src/api': {
    parts: [...base, 'src/handoff-schema.ts', 'src/store', 'src/trust', 'src/director'],
    packages: [
      'node:',
      'zod',
      'fastify',
      'fastify-type-provider-zod',
      '@fastify/swagger',
      'prom-client',
      '@fastify/static',
    ],
  },
  'src/doctor-report.ts': { parts: [...core, 'src/kernel/kernel.ts'], packages: [] },
  'src/webhooks.ts': { parts: ['src/schema.ts', 'src/store'], packages: ['node:', 'undici'] },
  // Runs in a browser: of everything else it knows the types alone.
  'src/web': { parts: core, packages: ['preact', 'vite', 'node:path'] },
  'src/log.ts': { parts: [], packages: ['node:', 'pino'] },
  'src/service.ts': { parts: ['src/kernel'], packages: [] },
  'src/program.ts': { parts: ['src/errors.ts', 'src/log.ts'], packages: ['node:'] },
  'src/settings.ts': { parts: ['src/errors.ts'], packages: ['node:', 'zod', 'commander'] },
  'src/controller-settings.ts': { parts: ['src/core/address.ts', 'src/settings.ts'], packages: ['zod'] },
  // Composition roots.
  'src/controller.ts': {
    parts: [
      ...base,
      'src/kernel',
      'src/check',
      'src/store',
      'src/trust',
      'src/director',
      'src/api',
      'src/doctor-report.ts',
      'src/webhooks.ts',
      'src/log.ts',
      'src/service.ts',
      'src/program.ts',
      'src/settings.ts',
      'src/controller-settings.ts',
    ],
    packages: ['node:', 'pino', 'zod'],
  },
  'src/front.ts': {
    parts: [
      ...base,
      'src/handoff-schema.ts',
      'src/kernel',
      'src/handoff',
      'src/front',
      'src/log.ts',
      'src/service.ts',
      'src/program.ts',
      'src/settings.ts',
      'src/front-settings.ts',
    ],
    packages: ['node:'],
  },
  // dsrctl: it knows the controller by its REST API alone.
  'src/cli/view': { parts: core, packages: ['node:util', 'zod'] },
  'src/cli': {
    parts: [...core, 'src/errors.ts', 'src/settings.ts', 'src/store/whole-file.ts', 'src/trust/pin.ts', 'src/cli/view'],
    packages: ['node:', 'zod', 'commander', 'undici', 'yaml'],
  },
  agents: {
    parts: [
      ...base,
      'src/handoff-schema.ts',
      'src/kernel',
      'src/handoff',
      'src/store',
      'src/trust/pin.ts',
      'src/doctor-report.ts',
      'src/log.ts',
      'src/service.ts',
      'src/program.ts',
      'src/settings.ts',
    ],
    packages: ['node:', 'zod', 'undici', 'commander', '@fastify/send'],
  },
};

const root = join(import.meta.dirname, '..');
const files = ['src', 'agents'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name)),
);
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));

const isIn = (file: string, name: string) => file === name || file.startsWith(`${name}/`);
const partOf = (file: string) =>
  Object.keys(table)
    .filter((name) => isIn(file, name))
    .sort((a, b) => b.length - a.length)[0];

/** Everything that a file imports: files of the project by path, modules by name; also dynamically. */
function importsOf(file: string, { types = true } = {}): string[] {
  const text = sources.get(file) ?? '';
  const found = [
    ...text.matchAll(/^(?:import|export)(?<type> type)? [^'"]*?from '(?<from>[^']+)'/gms),
    ...text.matchAll(/^import(?<type>) '(?<from>[^']+)'/gm),
    ...text.matchAll(/\b(?:import|require)(?<type>)\(\s*['"`](?<from>[^'"`]+)/g),
  ];
  return found
    .filter(({ groups }) => types || !groups?.type)
    .map(({ groups }) => groups?.from ?? '')
    .map((from) => (from.startsWith('.') ? normalize(join(dirname(file), from)) : from));
}

function isAllowed(file: string, imported: string): boolean {
  const part = partOf(file) ?? '';
  const { parts, packages } = table[part] ?? { parts: [], packages: [] };
  if (!sources.has(imported))
    return packages.some((name) => imported === name || imported.startsWith(name === 'node:' ? name : `${name}/`));
  const home = partOf(imported) ?? '';
  return home === part || parts.includes(home) || parts.includes(imported);
}

t.test('every file belongs to a part that is declared here, and every part has a file', async (t) => {
  for (const file of files) t.ok(partOf(file), `${file}: declare what this part may import`);
  for (const part of Object.keys(table))
    t.ok(
      files.some((file) => partOf(file) === part),
      `${part} has files`,
    );
});

t.test('imports go only where the table allows it', async (t) => {
  for (const file of files)
    t.strictSame(
      importsOf(file).filter((imported) => !isAllowed(file, imported)),
      [],
      file,
    );
});

t.test('the table itself points one way', async (t) => {
  const below = (part: string, seen: string[] = []): string[] =>
    (table[part]?.parts ?? []).flatMap((next) => {
      const home = partOf(next) ?? next;
      return seen.includes(home) ? [home] : [home, ...below(home, [...seen, home])];
    });
  for (const part of Object.keys(table)) t.notOk(below(part).includes(part), `${part} is not below itself`);
});

t.test('no files import each other in a circle, but for types', async (t) => {
  const circles = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.add([...path.slice(path.indexOf(file)), file].join(' → '));
    else if (!done.has(file)) for (const next of importsOf(file, { types: false })) visit(next, [...path, file]);
    done.add(file);
  };
  const done = new Set<string>();
  for (const file of files) visit(file, []);
  t.strictSame([...circles], []);
});

t.test('src/core has no clock, no randomness, no surroundings', async (t) => {
  const effects =
    /\b(Date\.now|performance|Math\.random|crypto|process|console|fetch|globalThis|setTimeout|setInterval|setImmediate|queueMicrotask|async|await|Promise)\b|\bDate\(\)/;
  for (const [file, text] of sources) {
    if (!isIn(file, 'src/core') && file !== 'src/schema.ts' && file !== 'src/check-schema.ts') continue;
    const code = text.replace(/\/\*.*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'/gs, '');
    t.equal(effects.exec(code)?.[0], undefined, file);
  }
});

t.test('src/core knows of checks by their types alone', async (t) => {
  for (const file of files.filter((file) => isIn(file, 'src/core')))
    t.notOk(importsOf(file, { types: false }).includes('src/check-schema.ts'), file);
});

t.test('src/web takes types alone from the rest of the program', async (t) => {
  for (const file of files.filter((file) => isIn(file, 'src/web')))
    t.strictSame(
      importsOf(file, { types: false }).filter((imported) => sources.has(imported) && !isIn(imported, 'src/web')),
      [],
      file,
    );
});

t.test('these rules see what they are for', async (t) => {
  sources.set(
    'src/core/bad.ts',
    "import fs from 'node:fs';\nimport { x } from '../store/state.ts';\nawait import('koffi');",
  );
  const forbidden = importsOf('src/core/bad.ts').filter((imported) => !isAllowed('src/core/bad.ts', imported));
  t.strictSame(forbidden, ['node:fs', 'src/store/state.ts', 'koffi']);
  t.equal(partOf('src/new/thing.ts'), undefined);
  t.ok(isAllowed('src/director/vips.ts', 'src/kernel/kernel.ts'));
  t.notOk(isAllowed('src/director/vips.ts', 'src/kernel/netlink.ts'));
  t.notOk(isAllowed('src/api/app.ts', 'src/kernel/kernel.ts'));
  t.notOk(isAllowed('src/store/state.ts', 'src/director/vips.ts'));
  t.notOk(isAllowed('src/schema.ts', 'src/core/plan.ts'));
  t.notOk(isAllowed('src/director/reconcile.ts', 'src/check/probe.ts'));
  t.notOk(isAllowed('src/check/probe.ts', 'src/store/events.ts'));
  for (const part of ['src/kernel/kernel.ts', 'src/store/state.ts', 'src/api/write.ts', 'src/director/vips.ts'])
    t.notOk(isAllowed('src/cli/run.ts', part));
  t.notOk(isAllowed('src/cli/view/table.ts', 'src/cli/io.ts'));
});
