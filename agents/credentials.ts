import { keepPass, readPass } from './pass.ts';

/** As whom the agent speaks to the controller, and whom it takes for the controller. */
export interface Credentials {
  /** `ca`: the only authority that is trusted; undefined: those of this system. */
  current(): { token?: string | undefined; ca?: string | undefined };
  /** The controller does not know the token: there may be a newer one. */
  refused(): void;
  /** Whether it is time for a new token. */
  isDue(): boolean;
  renewed(made: { token: string; expires: string | null }): Promise<void>;
}

/** @param token of the settings, which goes before that of `dsr-agent join` */
export function openCredentials(stateDir: string, token: string | undefined, now = Date.now): Credentials {
  let pass = readPass(stateDir);
  return {
    current: () => ({ token: token ?? pass?.token, ca: pass?.ca }),
    refused: () => {
      try {
        pass = readPass(stateDir) ?? pass;
      } catch {
        // What is damaged is told at the next start; it is as good as what is here.
      }
    },
    isDue: () => token === undefined && pass?.renewAt != null && now() >= pass.renewAt,
    renewed: async (made) => {
      if (pass) pass = await keepPass(stateDir, made, pass.ca, now());
    },
  };
}
