import { z } from 'zod';
import { isAddress } from './core/address.ts';
import { urlFields } from './url-schema.ts';

/** What the front, the controller and the agents tell each other of the engines "handoff" and "redirect". */

const address = z.string().refine(isAddress);
const port = z.number().int().min(1).max(65535);
const u32 = z.number().int().min(0).max(0xffff_ffff);
const name = z.string().max(63);

/** A port whose URLs are read before anybody answers, as the front must serve it. */
const frontPortSchema = z.object({
  pool: z.string(),
  vip: address,
  port,
  policy: z.object(urlFields),
  servers: z.array(
    z.object({
      name,
      address,
      /** Of new requests; 0 gets none. */
      weight: z.number().min(0),
      /** The director itself: its own web server answers. */
      isDirector: z.boolean(),
    }),
  ),
});

/** What the controller tells the front. */
export const frontDesiredSchema = z.object({
  /** Changes with the content. */
  version: z.string(),
  ports: z.array(frontPortSchema),
  /** By agent: the secret that it and the front know each other by. */
  keys: z.record(name, z.string()),
});
export type FrontDesired = z.infer<typeof frontDesiredSchema>;
export type FrontPort = z.infer<typeof frontPortSchema>;

const tuple = { vip: address, port, client: address, clientPort: port };

const tcpSchema = z.object({
  receiveNext: u32,
  sendNext: u32,
  segment: z.number().int().min(1).max(65535),
  selectiveAcks: z.boolean(),
  scale: z.object({ send: z.number().int().min(0).max(14), receive: z.number().int().min(0).max(14) }).nullable(),
  timestamp: u32.nullable(),
  window: z.object({ sendUpdate: u32, send: u32, most: u32, receive: u32, receiveUpdate: u32 }),
  ended: z.boolean(),
});

const id = z.number().int().min(0);

/** What goes both ways over a link, a line each; who has a connection offers it. */
export const frameSchema = z.discriminatedUnion('kind', [
  /** From the front, first: which one it is; another start of it is another one. */
  z.object({ kind: z.literal('hello'), instance: z.string().max(64) }),
  /** Take this connection: restore it, and wait. `read`: what the client sent that is not answered, base64. */
  z.object({ kind: z.literal('take'), id, ...tuple, tcp: tcpSchema, read: z.string().max(200_000) }),
  z.object({ kind: z.literal('took'), id }),
  z.object({ kind: z.literal('failed'), id, reason: z.string().max(500) }),
  /** It is yours: go on with it. */
  z.object({ kind: z.literal('go'), id }),
  /** It stays here: forget it. */
  z.object({ kind: z.literal('drop'), id }),
  /** To the front: a connection that was taken has ended. `sizes`: what was sent on it, bytes by path. */
  z.object({ kind: z.literal('closed'), ...tuple, sizes: z.record(z.string(), z.number()).optional() }),
]);
export type Frame = z.infer<typeof frameSchema>;
