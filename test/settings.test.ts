import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import { agentSpec } from '../agents/settings.ts';
import { controllerSpec, parseListen } from '../src/controller-settings.ts';
import { CodedError } from '../src/errors.ts';
import { frontSpec } from '../src/front-settings.ts';
import { type Parsed, type ProgramSpec, parseSettings } from '../src/settings.ts';
import { programs, run } from './api/run.ts';
import { folder } from './api/site.ts';
import { holds } from './property.ts';

/** A program whose usual config file is this text, or is missing. */
function withFile<S extends z.ZodObject>(t: Test, spec: ProgramSpec<S>, config?: unknown): ProgramSpec<S> {
  const configFile = join(folder(t), 'config.json');
  if (config !== undefined) writeFileSync(configFile, typeof config === 'string' ? config : JSON.stringify(config));
  return { ...spec, configFile };
}

/** Fails unless it is refused as bad usage with these words. */
function refused(t: Test, parse: () => unknown, ...words: (RegExp | string)[]): void {
  try {
    t.fail(`was taken: ${JSON.stringify(parse())}`);
  } catch (error) {
    t.ok(error instanceof CodedError, String(error));
    const { exitCode, code, message } = error as CodedError;
    t.equal(exitCode, 2);
    t.equal(code, 'BAD_SETTING');
    for (const word of words)
      t.ok(typeof word === 'string' ? message.includes(word) : word.test(message), `${word} in: ${message}`);
  }
}

const onController = (t: Test, config: unknown, argv: string[], env: NodeJS.ProcessEnv = {}) =>
  parseSettings(withFile(t, controllerSpec, config), argv, env);
const onAgent = (t: Test, config: unknown, argv: string[], env: NodeJS.ProcessEnv = {}) =>
  parseSettings(withFile(t, agentSpec, config), argv, env);
const settings = <S extends z.ZodObject>(parsed: Parsed<S> | undefined) => parsed?.settings;

const flagOf = (key: string) => `--${key.replace('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
const envOf = (key: string) => `DSR_${flagOf(key).slice(2).replaceAll('-', '_').toUpperCase()}`;
/** Settings that can be given as flags, with dots before those of an object. */
const fieldsOf = ({ settings: { shape } }: { settings: z.ZodObject }): [string, z.ZodType][] =>
  Object.entries(shape as Record<string, z.ZodType>).flatMap(([key, field]): [string, z.ZodType][] => {
    if (key === 'programs' || key === 'webhooks') return [];
    if (key !== 'probe' && key !== 'edge' && key !== 'handoff') return [[key, field]];
    const { shape: inner } = (field as z.ZodPrefault<z.ZodObject>).unwrap();
    return Object.entries(inner as Record<string, z.ZodType>).map(([name, of]) => [`${key}.${name}`, of]);
  });

t.test('without anything but what must be said, the settings are the defaults of the contract', async (t) => {
  t.strictSame(onController(t, undefined, ['--interface', 'eth0']), {
    settings: {
      interface: 'eth0',
      manageVip: true,
      listen: '127.0.0.1:7100',
      socket: '/run/dsr/controller.sock',
      tlsNames: [],
      probe: { link: 'ipvlan', address: [] },
      programs: {},
      webhooks: [],
      stateDir: '/var/lib/dsr',
      logLevel: 'info',
      insecure: false,
    },
    command: undefined,
    options: new Set(),
  });
  t.match(settings(onAgent(t, undefined, ['--controller', 'https://director:7100'])), {
    controller: 'https://director:7100',
    name: hostname().split('.')[0]?.toLowerCase(),
    shutdownDrainMs: 30_000,
    stateDir: '/var/lib/dsr',
    logLevel: 'info',
    insecure: false,
  });
});

t.test('a flag wins over the environment, that over the file, that over the default', async (t) => {
  const file = { interface: 'file0', stateDir: '/file', logLevel: 'debug' };
  const env = { DSR_INTERFACE: 'env0', DSR_STATE_DIR: '/env' };
  t.match(settings(onController(t, file, ['--interface', 'flag0'], env)), {
    interface: 'flag0',
    stateDir: '/env',
    logLevel: 'debug',
    manageVip: true,
  });
});

t.test('every setting is taken as a flag, from the environment and from the file alike', async (t) => {
  const examples: Record<string, unknown> = {
    interface: 'eth7',
    speedMbit: 100,
    manageVip: false,
    listen: '[::1]:7200',
    socket: '/run/x.sock',
    tlsNames: ['lb.example.com', '2001:db8::1'],
    stateDir: '/tmp/x',
    logLevel: 'warn',
    insecure: true,
    controller: 'https://director.example:7100',
    name: 'rs7',
    token: 'a b=c',
    allowedVips: ['192.0.2.0/24', '2001:db8::/32'],
    shutdownDrainMs: 5000,
    'edge.root': '/srv/images',
    'edge.file': '/etc/nginx/conf.d/dsr.conf',
    'edge.cache': '/var/cache/nginx',
    'edge.certificate': '/etc/ssl/cert.pem',
    'edge.key': '/etc/ssl/key.pem',
    'edge.origins': ['192.0.2.10/32'],
    'edge.validate': ['/usr/sbin/nginx', '-t'],
    'edge.reload': ['/usr/sbin/nginx', '-s', 'reload'],
    'probe.link': 'macvlan',
    'probe.address': ['192.0.2.9', '2001:db8::9'],
    'handoff.root': '/srv/images',
    'handoff.server': '127.0.0.1:8080',
    'handoff.frontPort': 7200,
    link: '192.0.2.10:7200',
  };
  const textOf = (value: unknown) => (Array.isArray(value) ? value.join(', ') : String(value));
  for (const [spec, must] of [
    [controllerSpec, { interface: 'eth0' }],
    [agentSpec, { controller: 'https://director' }],
    [frontSpec, { insecure: true }],
  ] as const)
    for (const [key] of fieldsOf(spec)) {
      t.ok(key in examples, `an example of ${key}`);
      const { [key as 'interface']: _, ...rest } = must as Record<string, string>;
      const read = (argv: string[], env: NodeJS.ProcessEnv, file: object) =>
        key
          .split('.')
          .reduce<unknown>(
            (value, part) => (value as Record<string, unknown> | undefined)?.[part],
            settings(parseSettings(withFile<z.ZodObject>(t, spec, { ...rest, ...file }), argv, env)),
          );
      t.strictSame(read([flagOf(key), textOf(examples[key])], {}, {}), examples[key], flagOf(key));
      t.strictSame(read([`${flagOf(key)}=${textOf(examples[key])}`], {}, {}), examples[key], `${flagOf(key)}=`);
      t.strictSame(read([], { [envOf(key)]: textOf(examples[key]) }, {}), examples[key], envOf(key));
      const inFile = key.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), examples[key]) as object;
      t.strictSame(read([], {}, inFile), examples[key], `"${key}"`);
    }
});

t.test('a boolean is true, 1, false or 0 as text', async (t) => {
  for (const [text, value] of Object.entries({ true: true, 1: true, false: false, 0: false }))
    t.match(settings(onController(t, undefined, ['--interface', 'eth0', '--manage-vip', text])), { manageVip: value });
  for (const text of ['yes', 'TRUE', '', 'on'])
    refused(
      t,
      () => onController(t, undefined, ['--interface', 'eth0', `--insecure=${text}`]),
      /^--insecure: true or false$/,
    );
});

t.test('a wrong value names the setting and where it was given', async (t) => {
  const listen = /an address with a port, such as 127\.0\.0\.1:7100/;
  refused(t, () => onController(t, undefined, ['--interface', 'eth0', '--listen', 'here']), /^--listen: /, listen);
  refused(
    t,
    () => onController(t, undefined, ['--interface', 'eth0'], { DSR_LISTEN: '1.2.3.4' }),
    /^DSR_LISTEN: /,
    listen,
  );
  refused(
    t,
    () => onController(t, { interface: 'eth0', listen: ':7100' }, []),
    /^"listen" in .*config\.json: /,
    listen,
  );
  refused(
    t,
    () => onController(t, { interface: 'eth0', listen: 7100 }, []),
    /^"listen" in .*config\.json: its type is string/,
  );
  refused(t, () => onController(t, { interface: 'eth0', manageVip: 'yes' }, []), /^"manageVip" in .*: true or false/);
  refused(t, () => onController(t, { interface: null }, []), /^"interface" in .*: its type is string/);
  refused(
    t,
    () => onController(t, undefined, ['--interface', 'eth0 1']),
    /^--interface: a network interface, such as eth0/,
  );
  refused(t, () => onController(t, undefined, ['--interface', '']), /^--interface: /);
  refused(
    t,
    () => onController(t, undefined, ['--interface', 'eth0', '--state-dir', 'var']),
    /^--state-dir: an absolute path/,
  );
  refused(
    t,
    () => onController(t, undefined, ['--interface', 'eth0', '--log-level', 'loud']),
    /^--log-level: one of fatal,/,
  );
  const agent = ['--controller', 'https://director'];
  refused(
    t,
    () => onAgent(t, undefined, ['--controller', 'director']),
    /^--controller: the controller's URL, such as http/,
  );
  refused(t, () => onAgent(t, undefined, ['--controller', 'ftp://director']), /^--controller: the controller's URL/);
  refused(t, () => onAgent(t, undefined, agent, { DSR_NAME: 'RS1' }), /^DSR_NAME: a name is a DNS label/);
  refused(
    t,
    () => onAgent(t, undefined, [...agent, '--allowed-vips', '192.0.2.0/24,x']),
    /^--allowed-vips: a network such as/,
  );
  refused(t, () => onAgent(t, { allowedVips: '192.0.2.0/24' }, agent), /^"allowedVips" in .*: its type is array/);
  refused(t, () => onAgent(t, undefined, [...agent, '--token', '']), /^--token: a token; leave it out/);
});

t.test('settings of an object come one by one from flag, environment and file, each on its own', async (t) => {
  const file = { interface: 'eth0', probe: { link: 'ipvlan', address: ['192.0.2.9'] } };
  const probe = (argv: string[], env: NodeJS.ProcessEnv = {}, config: object = file) =>
    settings(onController(t, config, argv, env))?.probe;
  t.strictSame(probe([]), { link: 'ipvlan', address: ['192.0.2.9'] });
  t.strictSame(probe(['--probe-link', 'macvlan']), { link: 'macvlan', address: ['192.0.2.9'] });
  t.strictSame(probe([], { DSR_PROBE_LINK: 'macvlan' }), { link: 'macvlan', address: ['192.0.2.9'] });
  t.strictSame(probe(['--probe-link', 'ipvlan'], { DSR_PROBE_LINK: 'macvlan', DSR_PROBE_ADDRESS: '2001:DB8::9' }), {
    link: 'ipvlan',
    address: ['2001:db8::9'],
  });
  t.strictSame(probe([], {}, { interface: 'eth0', probe: { link: 'macvlan' } }), { link: 'macvlan', address: [] });
  t.strictSame(probe([], {}, { interface: 'eth0', probe: { address: '192.0.2.9' } })?.address, ['192.0.2.9']);
});

t.test('a wrong setting of an object names the setting and where it was given', async (t) => {
  const eth0 = ['--interface', 'eth0'];
  const of = (probe: unknown) => ({ interface: 'eth0', probe });
  const link = /: "ipvlan" or "macvlan"$/;
  const address = 'an address such as 192.0.2.9';
  for (const [parse, ...words] of [
    [() => onController(t, undefined, [...eth0, '--probe-link', 'x']), /^--probe-link: /, link],
    [() => onController(t, undefined, eth0, { DSR_PROBE_LINK: 'x' }), /^DSR_PROBE_LINK: /, link],
    [() => onController(t, of({ link: 'x' }), []), /^"probe" in .*config\.json, at "link": /, link],
    [() => onController(t, of({ link: 'x' }), ['--probe-address', '192.0.2.9']), /^"probe" in .*, at "link": /, link],
    [() => onController(t, of({ address: [] }), ['--probe-link', 'x']), /^--probe-link: /, link],
    [() => onController(t, undefined, [...eth0, '--probe-address', '192.0.2.9,x']), `--probe-address: ${address}`],
    [() => onController(t, of({ address: ['192.0.2.9', 'x'] }), []), /^"probe" in .*, at "address\.1": /, address],
    [() => onController(t, of({ address: ['127.0.0.1'] }), []), /^"probe" in .*, at "address\.0": /, address],
    [
      () => onController(t, undefined, [...eth0, '--probe-address=192.0.2.9,192.0.2.8']),
      /^--probe-address: at most one address of each family$/,
    ],
    [() => onController(t, of({ lnk: 'x' }), []), /^"probe" in .*: there is no such setting as "lnk"/, '--help'],
    [() => onController(t, of('x'), []), /^"probe" in .*: its type is object$/],
    [() => onController(t, of('x'), ['--probe-link', 'ipvlan']), /^"probe" in .*: its type is object$/],
    [() => onController(t, of(null), ['--probe-link', 'ipvlan']), /^"probe" in .*: its type is object$/],
    [() => onController(t, undefined, [...eth0, '--probe', 'x']), /unknown option '--probe'/],
  ] as [() => unknown, ...(RegExp | string)[]][])
    refused(t, parse, ...words);
});

t.test('programs are named in the config file alone, each as an absolute path with its arguments', async (t) => {
  const of = (programs: unknown) => () => onController(t, { interface: 'eth0', programs }, []);
  t.match(of({ 'look-1': ['/usr/bin/look', '-v'] })(), {
    settings: { programs: { 'look-1': ['/usr/bin/look', '-v'] } },
  });
  refused(t, of({ Look: ['/x'] }), /^"programs" in .*, at "Look": a name of lower-case letters, digits and hyphens$/);
  refused(t, of({ look: ['look'] }), /^"programs" in .*, at "look": an absolute path, then arguments$/);
  refused(t, of({ look: [] }), /^"programs" in .*, at "look": an absolute path, then arguments$/);
  refused(t, of({ look: '/x' }), /^"programs" in .*, at "look": its type is array$/);
  refused(t, of({ look: ['/x', 1] }), /^"programs" in .*, at "look\.1": its type is string$/);
  refused(t, of([]), /^"programs" in .*: its type is record$/);
  refused(
    t,
    () => onController(t, undefined, ['--interface', 'eth0', '--programs', 'x']),
    /unknown option '--programs'/,
  );
  refused(t, () => onController(t, { interface: 'eth0', programs: 1 }, [], { DSR_PROGRAMS: '{}' }), /^"programs" in /);
});

t.test('a setting that must be given says what it is and the three ways to give it', async (t) => {
  const words = ['the setting "interface" is missing', '--interface', 'DSR_INTERFACE', '"interface" in /'];
  refused(t, () => onController(t, undefined, []), ...words);
  refused(t, () => onAgent(t, undefined, []), '"controller" is missing', '--controller', 'DSR_CONTROLLER');
});

t.test('what is no setting, command or option is refused by its name', async (t) => {
  const eth0 = ['--interface', 'eth0'];
  refused(
    t,
    () => onController(t, { interface: 'eth0', listn: 'x' }, []),
    /^"listn" in .*: there is no such setting/,
    '--help',
  );
  refused(t, () => onController(t, '{"interface":"eth0","__proto__":{"insecure":true}}', []), /^"__proto__" in /);
  refused(t, () => onController(t, { interface: 'eth0', constructor: 1 }, []), /^"constructor" in /);
  refused(t, () => onController(t, undefined, [...eth0, '--listn', 'x']), /unknown option '--listn'/, '--help');
  refused(t, () => onController(t, undefined, [...eth0, '--token', 'x']), /unknown option '--token'/);
  refused(t, () => onController(t, undefined, ['--interface']), /--interface.*argument missing/);
  refused(t, () => onController(t, undefined, [...eth0, 'start']), 'there is no command "start"', 'teardown');
  refused(t, () => onController(t, undefined, [...eth0, 'constructor']), 'there is no command "constructor"');
  refused(t, () => onController(t, undefined, [...eth0, 'teardown', 'now']), /too many arguments/);
  t.equal(onController(t, undefined, [...eth0, 'teardown'])?.command, 'teardown');
  t.equal(onAgent(t, undefined, ['teardown', '--controller', 'https://d'])?.command, 'teardown');
});

t.test(
  'the usual config file may be missing; one named by --config must be there and be an object of JSON',
  async (t) => {
    const dir = folder(t);
    const named = (text: string) => {
      writeFileSync(join(dir, 'c.json'), text);
      return () => onController(t, undefined, ['--config', join(dir, 'c.json')]);
    };
    const eth0 = ['--interface', 'eth0'];
    t.ok(onController(t, undefined, eth0));
    refused(
      t,
      () => onController(t, undefined, [...eth0, '--config', join(dir, 'none')]),
      join(dir, 'none'),
      /cannot be read.*ENOENT/,
    );
    mkdirSync(join(dir, 'folder'));
    refused(t, () => onController(t, undefined, [...eth0, '--config', join(dir, 'folder')]), /cannot be read.*EISDIR/);
    t.match(named('{"interface":"eth5"}')(), { settings: { interface: 'eth5' } });
    refused(t, named('{"interface":}'), join(dir, 'c.json'), /is not JSON/);
    for (const text of ['[]', 'null', '"eth0"', '5']) refused(t, named(text), /is not a JSON object; write \{/);
    refused(t, () => onController(t, '{', eth0), /config\.json is not JSON/);
  },
);

t.test('plain http beyond loopback needs the explicit word of the agent too', async (t) => {
  const controller = (url: string, ...more: string[]) => onAgent(t, undefined, ['--controller', url, ...more]);
  const safe = ['https://192.0.2.1:7100', 'http://127.0.0.1:7100', 'http://[::1]:7100', 'http://localhost:7100/'];
  for (const url of safe) t.ok(controller(url), url);
  for (const url of ['http://192.0.2.1:7100', 'http://director', 'http://127.0.0.1.example', 'http://[2001:db8::1]']) {
    refused(
      t,
      () => controller(url),
      `--controller: ${url} is plain HTTP beyond loopback: use https, or set "insecure": true`,
    );
    t.ok(controller(url, '--insecure', 'true'), url);
  }
});

t.test('listen is an address and a port', async (t) => {
  t.strictSame(parseListen('127.0.0.1:7100'), { host: '127.0.0.1', port: 7100 });
  t.strictSame(parseListen('[2001:db8::1]:0'), { host: '2001:db8::1', port: 0 });
  for (const text of [
    '',
    '7100',
    ':7100',
    'localhost:7100',
    '::1:7100',
    '[127.0.0.1',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3:1',
  ])
    t.equal(parseListen(text), undefined, text);
});

holds(
  t,
  'whatever is given is taken, or refused as bad usage in words',
  fc.property(
    fc.constantFrom('--listen', '--interface', '--state-dir', '--manage-vip', '--log-level', '--insecure', ''),
    fc.oneof(fc.string(), fc.ipV4(), fc.webUrl(), fc.constantFrom('127.0.0.1:7100', 'teardown', '-', '--')),
    fc.dictionary(fc.constantFrom('DSR_LISTEN', 'DSR_INTERFACE', 'DSR_INSECURE', 'DSR_CONTROLLER'), fc.string()),
    (flag, value, env) => {
      for (const spec of [controllerSpec, agentSpec])
        try {
          parseSettings<z.ZodObject>(
            { ...spec, configFile: '/nonexistent/config.json' },
            flag ? [`${flag}=${value}`] : [value],
            env,
          );
        } catch (error) {
          if (!(error instanceof CodedError) || error.exitCode !== 2 || error.message === '') throw error;
        }
    },
  ),
  500,
);

t.test(
  '--help documents the flag, the environment variable and the config key of every setting, and exits 0',
  async (t) => {
    for (const [program, spec] of [
      [programs.controller, controllerSpec],
      [programs.agent, agentSpec],
    ] as const) {
      const { code, stdout, stderr } = await run(program, ['--help']);
      t.equal(code, 0);
      t.equal(stderr, '');
      const help = stdout.replace(/\s+/g, ' ');
      for (const [key, field] of fieldsOf(spec)) {
        const flag = flagOf(key);
        t.match(field.description, /./, `what ${key} does`);
        t.match(
          help.slice(help.indexOf(` ${flag} <`)),
          `> ${field.description} [env ${envOf(key)}, config "${key}"]`,
          flag,
        );
      }
      t.notMatch(help, '--programs', 'a record is for the config file alone');
      for (const word of ['--config', spec.configFile, '--version', 'teardown']) t.match(help, word);
    }
  },
);
