import { createHash } from 'node:crypto';
import { execa } from 'execa';
import type { Module } from './modules.ts';

interface Component {
  'bom-ref': string;
  name: string;
  version: string;
}

interface Bom {
  serialNumber: string;
  metadata: { timestamp: string; tools: unknown; component: { name: string; type: string } };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/** What npm says about an installed folder, in CycloneDX. */
export async function readBom(folder: string): Promise<Bom> {
  const { stdout } = await execa('npm', ['sbom', '--omit=dev', '--sbom-format=cyclonedx'], { cwd: folder });
  return JSON.parse(stdout) as Bom;
}

/** The bill of what is shipped, the same for the same contents: without npm's version, random number and time of day. */
export function bomOf(bom: Bom, shipped: readonly Module[], time: number): string {
  const known = new Set(shipped.map(({ name, version }) => `${name}@${version}`));
  const isShipped = ({ name, version }: Component) => known.has(`${name}@${version}`);
  const components = bom.components.filter(isShipped);
  const all = new Set(bom.components.map((component) => component['bom-ref']));
  const kept = new Set(components.map((component) => component['bom-ref']));
  const isKept = (ref: string) => kept.has(ref) || !all.has(ref);
  const dependencies = bom.dependencies
    .filter(({ ref }) => isKept(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) }));
  const metadata = {
    ...bom.metadata,
    timestamp: new Date(time * 1000).toISOString(),
    tools: [{ name: 'npm sbom' }],
    // npm says the folder's name.
    component: { ...bom.metadata.component, name: 'dsr-controller', type: 'application' },
  };
  const body = { ...bom, metadata, components, dependencies };
  const hash = createHash('sha256')
    .update(JSON.stringify({ ...body, serialNumber: '' }))
    .digest('hex');
  // A UUID of version 8 is of one's own making (RFC 9562).
  const uuid = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
  return `${JSON.stringify({ ...body, serialNumber: `urn:uuid:${uuid}` }, null, 2)}\n`;
}
