import { keepPass, type Pass, readPass } from './pass.ts';

/** As whom the agent speaks to the controller, and whom it takes for the controller. */
export interface Credentials {
  /** `ca`: the only authority that is trusted; undefined: those of this system. */
  current(): { token?: string | undefined; ca?: string | undefined };
  /** The controller does not know the token: there may be a newer one. */
  refused(): void;
  /** Whether it is time for a new token. */
  isDue(): boolean;
  renewed(made: { token: string; expiresInSeconds: number | null }): Promise<void>;
}

export interface CredentialsOptions {
  stateDir: string;
  /** Of the settings, which goes before that of `dsr-agent join`. */
  token: string | undefined;
  /** Whether the controller is spoken to by HTTPS: what `dsr-agent join` was given goes nowhere else. */
  isSecure: boolean;
  /** Told why what `dsr-agent join` wrote cannot be used; this host is looked after all the same. */
  failed(error: Error): void;
  now?: () => number;
}

export function openCredentials({
  stateDir,
  token,
  isSecure,
  failed,
  now = Date.now,
}: CredentialsOptions): Credentials {
  const read = (): Pass | undefined => {
    if (!isSecure) return undefined;
    try {
      return readPass(stateDir);
    } catch (error) {
      failed(error as Error);
      return undefined;
    }
  };
  let pass = read();
  return {
    current: () => ({ token: token ?? pass?.token, ca: pass?.ca }),
    refused: () => {
      pass = read() ?? pass;
    },
    isDue: () => token === undefined && pass?.renewAt != null && now() >= pass.renewAt,
    renewed: async (made) => {
      if (pass) pass = await keepPass(stateDir, made, pass.ca, now());
    },
  };
}
