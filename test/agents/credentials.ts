import type { Credentials } from '../../agents/credentials.ts';

/** Of an agent whose controller asks for none. */
export const noCredentials: Credentials = {
  current: () => ({}),
  refused: () => {},
  isDue: () => false,
  renewed: async () => {},
};
