import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { State } from '../core/state.ts';
import type { CapacityBook } from '../director/capacity.ts';
import type { HostFinding, Patient } from '../director/doctor.ts';
import type { HealthSource } from '../director/health.ts';
import type { Director } from '../director/reconcile.ts';
import type { TrafficBook } from '../director/traffic.ts';
import type { Witness } from '../director/witness.ts';
import type { Signal } from '../loop.ts';
import type { AgentRegistry } from '../store/agents.ts';
import type { Document } from '../store/document.ts';
import type { Events } from '../store/events.ts';
import type { LinkKeys } from '../trust/link-keys.ts';
import type { Reach, Trust } from '../trust/trust.ts';
import type { FrontWatch } from './front.ts';

/** What the routes work with. They store and read; only the director's loop touches the kernel. */
export interface ApiContext {
  state: Document<State>;
  /** After each change of the state. */
  stateChanged: Signal;
  agents: AgentRegistry;
  events: Events;
  director: Director;
  health: Pick<HealthSource, 'findings' | 'problem'>;
  traffic: TrafficBook;
  capacity: Pick<CapacityBook, 'facts'>;
  witness: Pick<Witness, 'claimants' | 'problem'>;
  /** Looks over all hosts. */
  examine: (patient: Patient) => Promise<HostFinding[]>;
  /** Who may do what; undefined: everybody is trusted, as the setting "insecure" says. */
  trust: Trust | undefined;
  /** What agents need to know of this host to join; undefined where it speaks plain HTTP. */
  reach: Reach | undefined;
  /** Secrets of the links between agents and the front. */
  linkKeys: LinkKeys;
  /** Of this package. */
  version: string;
  interface: string;
  manageVip: boolean;
  /** The program that answers ports of the engines handoff and redirect. */
  front: FrontWatch;
  /** Ends long polls and streams when the server closes. */
  closing: AbortSignal;
}

export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;
