import { poolsOf } from '../core/state.ts';
import type { HostFinding } from '../director/doctor.ts';
import type { Api, ApiContext } from './context.ts';

/** Looking over all hosts takes a second, and asks the LAN. */
const keptMs = 3000;

/** GET /v1/doctor: what is wrong with the hosts, why it matters, and what to type. */
export function doctorRoutes(api: Api, context: ApiContext): void {
  let last: { at: number; findings: Promise<HostFinding[]> } | undefined;
  api.get(
    '/v1/doctor',
    { schema: { summary: 'What is wrong with the hosts, why it matters, and what to do' } },
    async () => {
      const now = Date.now();
      if (!last || now - last.at > keptMs || now < last.at) {
        const findings = context.examine({
          pools: poolsOf(context.state.get()),
          services: context.director.last()?.look.services ?? new Map(),
          agents: context.agents.all(),
          findings: context.health.findings(),
          now,
        });
        last = { at: now, findings };
        // One that failed is not kept.
        findings.catch(() => {
          if (last?.findings === findings) last = undefined;
        });
      }
      // Steps are for the doctor of that host itself.
      return { findings: (await last.findings).map(({ steps: _, ...finding }) => finding) };
    },
  );
}
