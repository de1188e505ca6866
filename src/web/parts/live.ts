import { createContext } from 'preact';

/** Whether what is shown is how it is now. Where it is not, figures are left out and nothing can be changed. */
export const Live = createContext(true);
