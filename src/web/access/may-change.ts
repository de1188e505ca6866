import { createContext } from 'preact';

/** Whether whoever is signed in may change anything, as far as that is known. */
export const MayChange = createContext(true);
