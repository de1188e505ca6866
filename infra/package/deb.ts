import { createHash } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { copyrightOf } from './copyright.ts';
import { filesBelow, normalize } from './files.ts';
import { manPage } from './manual.ts';
import { type Architecture, layProgram } from './program.ts';

const programs = {
  'dsr-controller': {
    path: 'dist/src/controller.js',
    section: 8,
    summary: 'load-balancer controller for Direct Server Return',
  },
  'dsr-agent': {
    path: 'dist/agents/agent.js',
    section: 8,
    summary: 'keeps a real server fit for Direct Server Return',
  },
  'dsr-front': {
    path: 'dist/src/front.js',
    section: 8,
    summary: 'reads the requests of ports whose URLs decide who answers',
  },
  dsrctl: { path: 'dist/src/cli/dsrctl.js', section: 1, summary: 'command line of dsr-controller' },
} as const;
type ProgramName = keyof typeof programs;

const completions = {
  bash: 'usr/share/bash-completion/completions/dsrctl',
  zsh: 'usr/share/zsh/vendor-completions/_dsrctl',
  fish: 'usr/share/fish/vendor_completions.d/dsrctl.fish',
} as const;

const home = 'usr/lib/dsr-controller';
const docs = 'usr/share/doc/dsr-controller';

export interface DebOptions {
  /** The repository, built. */
  root: string;
  /** Where the package goes. */
  into: string;
  architecture: Architecture;
  version: string;
  /** Of the commit, seconds since 1970. */
  time: number;
}

/** Builds a .deb and answers its path. The same commit gives the same bytes. */
export async function buildDeb({ root, into, architecture, version, time }: DebOptions): Promise<string> {
  const stage = join(into, `stage-${architecture}`);
  const here = join(root, 'infra/package');
  await rm(stage, { recursive: true, force: true });
  const at = (path: string) => join(stage, path);
  const write = async (path: string, content: string | Uint8Array) => {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), content);
  };
  const copy = async (from: string, to: string) => write(to, await readFile(join(root, from)));
  const zip = (text: string | Uint8Array) => gzipSync(text, { level: 9 });

  const { modules, bom } = await layProgram(root, at(home), architecture, time);
  await mkdir(at('usr/bin'), { recursive: true });
  await mkdir(at('etc/dsr'), { recursive: true });
  for (const [name, { path }] of Object.entries(programs)) {
    const text = await readFile(at(`${home}/${path}`), 'utf8');
    await write(`${home}/${path}`, text.replace(/^#!.*\n/, '#!/usr/bin/node\n'));
    await symlink(`../lib/dsr-controller/${path}`, at(`usr/bin/${name}`));
  }
  for (const unit of ['dsr-controller.service', 'dsr-agent.service', 'dsr-front.service'])
    await copy(`infra/systemd/${unit}`, `usr/lib/systemd/system/${unit}`);
  for (const [shell, path] of Object.entries(completions))
    await write(path, await says(root, 'dsrctl', ['completion', shell]));
  for (const name of Object.keys(programs) as ProgramName[]) {
    const { section } = programs[name];
    await write(`usr/share/man/man${section}/${name}.${section}.gz`, zip(await manualOf(root, name, version, time)));
  }
  for (const role of ['controller', 'agent', 'front'])
    await copy(`infra/package/examples/${role}.json`, `${docs}/examples/${role}.json`);
  await write(`${docs}/README.md.gz`, zip(await readFile(join(root, 'README.md'))));
  await write(`${docs}/changelog.gz`, zip(changelog(version, time)));
  await write(`${docs}/copyright`, copyrightOf(modules, await readFile(join(root, 'LICENSE'), 'utf8'), home));
  await write(`${docs}/sbom.cdx.json`, bom);
  await copy('infra/package/debian/lintian-overrides', 'usr/share/lintian/overrides/dsr-controller');

  const files = await filesBelow(stage);
  const sizes = await Promise.all(files.map(async (file) => Math.ceil((await lstat(at(file))).size / 1024)));
  const installed = sizes.reduce((sum, size) => sum + size, (await folders(stage)) * 4);
  const sums = await Promise.all(files.map((file) => sumLine(stage, file)));
  for (const script of await readdir(join(here, 'debian'))) {
    if (script === 'lintian-overrides') continue;
    await mkdir(at('DEBIAN'), { recursive: true });
    await cp(join(here, 'debian', script), at(`DEBIAN/${script}`));
  }
  await write('DEBIAN/control', control(version, architecture, installed));
  await write('DEBIAN/md5sums', sums.join(''));
  const isProgram = (path: string) =>
    /^DEBIAN\/(pre|post)(inst|rm)$/.test(path) || Object.values(programs).some((one) => path === `${home}/${one.path}`);
  await normalize(stage, isProgram, time);
  // It may get tokens and keys.
  await chmod(at('etc/dsr'), 0o700);
  const deb = join(into, `dsr-controller_${version}_${architecture}.deb`);
  await execa('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, `${deb}.tmp`], {
    env: { SOURCE_DATE_EPOCH: String(time) },
  });
  await rename(`${deb}.tmp`, deb);
  await rm(stage, { recursive: true });
  return deb;
}

const control = (version: string, architecture: Architecture, kilobytes: number): string => `Package: dsr-controller
Version: ${version}
Section: net
Priority: optional
Architecture: ${architecture}
Installed-Size: ${kilobytes}
Maintainer: The dsr-controller authors <maintainers@dsr-controller.invalid>
Depends: nodejs (>= 20.19), libc6 (>= 2.31), libgcc-s1, libstdc++6 (>= 5.2)
Recommends: nftables
Suggests: ipvsadm
Description: load-balancer controller for Linux Direct Server Return
 Replies do not pass through this load balancer: the director sees only the
 requests, and each real server answers the client itself, with its own
 network card. The Linux kernel does the work (IPVS, direct routing).
 .
 dsr-controller programs the director from pools managed over a REST API and
 checks every real server through the virtual address; dsr-agent keeps a real
 server fit for it and attests that; dsrctl is the command line. Traffic goes
 on when they stop, crash or are upgraded.
 .
 Neither role is started before it has a file in /etc/dsr.
`;

const changelog = (version: string, time: number): string =>
  `dsr-controller (${version}) unstable; urgency=medium

  * The history is in the project's repository.

 -- The dsr-controller authors <maintainers@dsr-controller.invalid>  ${new Date(time * 1000).toUTCString().replace('GMT', '+0000')}
`;

async function sumLine(stage: string, file: string): Promise<string> {
  if ((await lstat(join(stage, file))).isSymbolicLink()) return '';
  return `${createHash('md5')
    .update(await readFile(join(stage, file)))
    .digest('hex')}  ${file}\n`;
}

const folders = async (stage: string): Promise<number> =>
  (await readdir(stage, { recursive: true, withFileTypes: true })).filter((entry) => entry.isDirectory()).length;

/** What a program of this package prints, the same on every machine. */
async function says(root: string, name: ProgramName, args: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: '~', LANG: 'C.UTF-8', NO_COLOR: '1' };
  const { stdout } = await execa(process.execPath, [join(root, programs[name].path), ...args], {
    env,
    extendEnv: false,
  });
  return `${stdout}\n`;
}

async function manualOf(root: string, name: ProgramName, version: string, time: number): Promise<string> {
  const { section, summary } = programs[name];
  const usage = await says(root, name, ['--help']);
  const commands = name === 'dsrctl' ? [...usage.matchAll(/^ {2}([a-z]+)(?= .*)/gm)].map(([, word = '']) => word) : [];
  const help = await Promise.all(
    commands
      .filter((command) => command !== 'help')
      .map(async (command) => [command.toUpperCase(), await says(root, name, [command, '--help'])] as const),
  );
  const role = name.replace('dsr-', '');
  const files: [string, string][] =
    name === 'dsrctl'
      ? [['~/.config/dsrctl.json', 'Settings.']]
      : [
          [`/etc/dsr/${role}.json`, `Settings; an example is in /${docs}/examples.`],
          ['/var/lib/dsr', 'State.'],
        ];
  const others = (Object.keys(programs) as ProgramName[]).filter((other) => other !== name);
  const seeAlso = others.map((other) => `.BR ${other} (${programs[other].section})`).join(' ,\n');
  return manPage({ name, section, summary, help: [['DESCRIPTION', usage], ...help], files, seeAlso, version, time });
}
