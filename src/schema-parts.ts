// What the schemas of pools, checks and URL policies are made of.
import { z } from 'zod';

export const whole = (what: string, min: number, max: number) =>
  z
    .number({ error: `${what} is a number, ${min} to ${max}` })
    .int({ error: `${what} is a whole number, ${min} to ${max}` })
    .min(min, { error: `${what} is at least ${min}` })
    .max(max, { error: `${what} is at most ${max}` });

export const some = <T extends z.ZodType>(what: string, max: number, element: T) =>
  z
    .array(element, { error: `${what} is a list` })
    .min(1, { error: `${what} has at least one entry` })
    .max(max, { error: `${what} has at most ${max} entries` });
