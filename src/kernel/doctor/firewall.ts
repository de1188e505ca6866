import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Firewall } from '../../core/doctor/firewall.ts';
import type { SavedTables } from '../../core/doctor/iptables.ts';
import { hasForeignMatch, type Ruleset } from '../../core/doctor/nft.ts';

/**
 * Equivalent to `nft --json list ruleset`, and to `iptables-save` where rules of iptables are in use, which nft does not
 * show (legacy) or not wholly (iptables-nft). Never rejects.
 */
export async function readFirewall(root = ''): Promise<Firewall> {
  const nft = await run('nft', ['--json', 'list', 'ruleset']);
  const ruleset = 'unknown' in nft ? nft : parsed(nft.text);
  if ('unknown' in ruleset) return ruleset;
  const saved: SavedTables[] = [];
  for (const by of iptablesPrograms(ruleset, root)) {
    const said = await run(`${by}-save`, []);
    if ('unknown' in said) return said;
    saved.push({ by, text: said.text });
  }
  return { ruleset, saved };
}

/** Those of iptables(8) whose rules are in use here. */
function iptablesPrograms(ruleset: Ruleset, root: string): string[] {
  const legacy = [
    ['/proc/net/ip_tables_names', 'iptables-legacy'],
    ['/proc/net/ip6_tables_names', 'ip6tables-legacy'],
  ].flatMap(([path, by]) => (readTables(root + path).length > 0 ? [by ?? ''] : []));
  return hasForeignMatch(ruleset) ? ['iptables-nft', 'ip6tables-nft', ...legacy] : legacy;
}

/** Tables of iptables-legacy that have been used (net/netfilter/x_tables.c); empty where there are none. */
function readTables(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    // The kernel has none of them.
    return [];
  }
}

const packages: Record<string, string> = { nft: 'nftables' };

function run(program: string, args: string[]): Promise<{ text: string } | { unknown: string }> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 * 2 ** 20, timeout: 10_000 };
    execFile(program, args, options, (error, text, stderr) => {
      if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT')
        resolve({ unknown: `the program ${program} is missing: apt-get install ${packages[program] ?? 'iptables'}` });
      else if (error) resolve({ unknown: `${program} says: ${stderr.trim() || error.message}` });
      else resolve({ text });
    });
  });
}

function parsed(text: string): Ruleset | { unknown: string } {
  // Without any rule some versions print nothing.
  if (text.trim() === '') return { nftables: [] };
  try {
    const { nftables } = JSON.parse(text) as Partial<Ruleset>;
    return Array.isArray(nftables) ? { nftables } : { unknown: 'nft printed no list of rules' };
  } catch (error) {
    return { unknown: `nft printed what is no JSON: ${(error as Error).message}` };
  }
}
