import { Refused } from '../api/call.ts';

/** Reads the text of a pool. Throws Refused where it is no JSON. */
export function parsePoolText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refused({
      type: 'about:blank',
      title: 'No JSON',
      status: 0,
      code: 'NO_JSON',
      detail: `this is no JSON: ${error instanceof Error ? error.message : error}`,
    });
  }
}
