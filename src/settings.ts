import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { z } from 'zod';
import { CodedError } from './errors.ts';

/**
 * One program's settings: a zod object whose fields carry their help as description. Those of an object in it are
 * settings too, `probe.link` as --probe-link; a record is for the config file alone.
 */
export interface ProgramSpec<S extends z.ZodObject> {
  name: string;
  summary: string;
  /** Read when it is there; a file named by --config must be there. */
  configFile: string;
  settings: S;
  /** Words that may follow, with what they do. */
  commands: Record<string, string>;
  /** Flags without a value that go with a command, with what they do. */
  options?: Record<string, string>;
}

export interface Parsed<S extends z.ZodObject> {
  settings: z.infer<S>;
  /** One of `commands`, or undefined. */
  command: string | undefined;
  /** Those of `options` that were given. */
  options: ReadonlySet<string>;
}

/**
 * Reads the settings: flags before environment before config file before defaults. Throws BAD_SETTING (exit code 2)
 * naming the setting, where it came from and what would be right. Undefined when it printed the help or the version.
 */
export function parseSettings<S extends z.ZodObject>(
  spec: ProgramSpec<S>,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): Parsed<S> | undefined {
  const program = new Command(spec.name)
    .description(spec.summary)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  program.version(version(), '--version', 'print the version');
  addSettings(program, spec);
  const optional = Object.entries(spec.options ?? {});
  for (const [name, help] of optional) program.option(`--${name}`, help);
  const commands = Object.entries(spec.commands);
  program.argument('[command]', commands.map(([word, help]) => `${word}: ${help}`).join('; '));
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw bad(`${error.message.replace(/^error: /, '')}; ${spec.name} --help lists what there is`);
  }
  const [command] = program.args;
  if (command !== undefined && !Object.hasOwn(spec.commands, command))
    throw bad(`there is no command "${command}"; ${commands.map(([word]) => word).join(', ')} is known`);
  const flags = program.opts<Record<string, string>>();
  const options = new Set(optional.map(([name]) => name).filter((name) => flags[name] !== undefined));
  return { settings: readSettings(spec, flags, env), command, options };
}

/** Gives a program a flag for each setting, and --config. */
export function addSettings(program: Command, spec: Pick<ProgramSpec<z.ZodObject>, 'configFile' | 'settings'>): void {
  program.option('--config <file>', `settings as JSON (default: ${spec.configFile})`);
  for (const [key, field] of fieldsOf(spec.settings))
    program.option(`--${flagOf(key)} <${kindOf(field)}>`, `${field.description} [env ${envOf(key)}, config "${key}"]`);
}

/** The settings of {@link addSettings}, once the command line is parsed. Throws BAD_SETTING as {@link parseSettings} does. */
export function readSettings<S extends z.ZodObject>(
  spec: Pick<ProgramSpec<S>, 'name' | 'configFile' | 'settings'>,
  flags: Readonly<Record<string, string | undefined>>,
  env: NodeJS.ProcessEnv,
): z.infer<S> {
  const fields = fieldsOf(spec.settings);
  // Without a prototype: a config file may say "__proto__".
  const given: Record<string, unknown> = Object.create(null);
  const source: Record<string, string> = Object.create(null);
  for (const [key, value] of Object.entries(readConfig(flags.config, spec.configFile)))
    [given[key], source[key]] = [value, `"${key}" in ${flags.config ?? spec.configFile}`];
  for (const [key, field] of fields) {
    const flag = flags[attributeOf(key)];
    const [text, where] = flag !== undefined ? [flag, `--${flagOf(key)}`] : [env[envOf(key)], envOf(key)];
    if (text === undefined) continue;
    const [outer = '', inner] = key.split('.');
    const value = fromText(text, field);
    const around = outer in given ? given[outer] : {};
    // What is no object in the file is left as it is, and refused below.
    if (inner === undefined) given[outer] = value;
    else if (typeof around === 'object' && around !== null) given[outer] = { ...around, [inner]: value };
    source[key] = where;
  }
  const result = spec.settings.safeParse(given);
  if (result.success) return result.data as z.infer<S>;
  const issue = result.error.issues[0];
  const path = (issue?.path ?? []).slice(0, 2).map(String);
  const from = (inner: readonly string[]) => source[inner.join('.')] ?? source[inner[0] ?? ''];
  if (issue?.code === 'unrecognized_keys')
    throw bad(
      `${from([...path, issue.keys[0] ?? ''])}: there is no such setting${path.length > 0 ? ` as "${issue.keys[0]}"` : ''}; ${spec.name} --help lists them`,
    );
  const key = path[0] ?? '';
  if (given[key] === undefined)
    throw bad(
      `the setting "${key}" is missing: ${describe(spec, key)} (--${flagOf(key)}, ${envOf(key)} or "${key}" in ${flags.config ?? spec.configFile})`,
    );
  const ownWords = issue?.code !== 'invalid_type' || !issue.message.startsWith('Invalid input');
  const inner = (issue?.path ?? []).slice(1).join('.');
  // A flag or a variable is the whole of its setting.
  const place = from(path);
  const at = inner && place?.startsWith('"') ? `, at "${inner}"` : '';
  const message = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message;
  throw bad(`${place}${at}: ${ownWords ? message : `its type is ${issue.expected}`}`);
}

/** Every setting that may be a flag, with its dotted path. */
function fieldsOf(settings: z.ZodObject): [string, z.ZodType][] {
  return Object.entries(settings.shape as Record<string, z.ZodType>).flatMap(([key, field]) => {
    const base = unwrapped(field);
    if (base instanceof z.ZodRecord || isListOfObjects(base)) return [];
    if (!(base instanceof z.ZodObject)) return [[key, field] as [string, z.ZodType]];
    return fieldsOf(base).map(([inner, at]): [string, z.ZodType] => [`${key}.${inner}`, at]);
  });
}

/** Written in the config file only. */
const isListOfObjects = (field: z.ZodType) =>
  field instanceof z.ZodArray && unwrapped(field.element as z.ZodType) instanceof z.ZodObject;

const bad = (message: string) => new CodedError('BAD_SETTING', message, 2);

const describe = (spec: Pick<ProgramSpec<z.ZodObject>, 'settings'>, key: string) =>
  (spec.settings.shape as Record<string, z.ZodType>)[key]?.description ?? '';

function readConfig(named: string | undefined, usual: string): Record<string, unknown> {
  const path = named ?? usual;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && named === undefined) return {};
    throw bad(`the config file ${path} cannot be read: ${message}`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw bad(`the config file ${path} is not JSON: ${withoutText((error as Error).message)}`);
  }
  throw bad(`the config file ${path} is not a JSON object; write { "setting": value, … }`);
}

/** JSON.parse's own words without the piece of the text that they quote, which may be of a token. */
const withoutText = (message: string) => message.replace(/, (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s, '');

const flagOf = (key: string) => key.replace('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const envOf = (key: string) => `DSR_${key.replace('.', '_').replace(/[A-Z]/g, (letter) => `_${letter}`)}`.toUpperCase();
/** Under which commander keeps a flag. */
const attributeOf = (key: string) => flagOf(key).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function kindOf(field: z.ZodType): string {
  const kind = baseOf(field);
  return kind === 'boolean' ? 'true|false' : kind === 'array' ? 'a,b,…' : 'value';
}

/** Kind of a field below its default and optional wrappings. */
const baseOf = (field: z.ZodType): string => unwrapped(field).def.type;

function unwrapped(field: z.ZodType): z.ZodType {
  if (field instanceof z.ZodDefault || field instanceof z.ZodOptional || field instanceof z.ZodPrefault)
    return unwrapped(field.unwrap() as z.ZodType);
  return field instanceof z.ZodPipe ? unwrapped(field.out as z.ZodType) : field;
}

function fromText(text: string, field: z.ZodType): unknown {
  const kind = baseOf(field);
  if (kind === 'boolean')
    return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
  if (kind === 'number') return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
  if (kind === 'array') return text.split(',').map((part) => part.trim()).filter(Boolean); // biome-ignore format: short
  return text;
}

/** This package's version. */
export function version(): string {
  for (const path of ['../package.json', '../../package.json'])
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (name === 'dsr-controller') return version;
    } catch {}
  return 'unknown';
}

/** Name of a network interface (dev_valid_name in the kernel's net/core/dev.c). */
export const interfaceName = z.string().regex(/^[^\s/:]{1,15}$/, { error: 'a network interface, such as eth0' });

/** Where a card's driver does not tell its speed, or a virtual one lies. */
export const speedMbit = z
  .number({ error: 'Mbit/s, a number' })
  .positive({ error: 'Mbit/s, more than 0' })
  .optional()
  .describe('speed of that interface in each direction, Mbit/s (default: what its driver says)');

/** Settings that both programs have. */
export const commonSettings = {
  stateDir: z
    .string()
    .startsWith('/', { error: 'an absolute path' })
    .default('/var/lib/dsr')
    .describe('folder for what must outlive a restart (default: /var/lib/dsr)'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'one of fatal, error, warn, info, debug, trace, silent',
    })
    .default('info')
    .describe('least level that is logged (default: info)'),
  insecure: z
    .boolean({ error: 'true or false' })
    .default(false)
    .describe(
      'plain HTTP without tokens, limits and audit log, also beyond loopback: whoever reaches the port may do everything; for tests (default: false)',
    ),
};
