import type { ServiceManager } from './kernel/service-manager.ts';

const LOOK_MS = 1000;
/** After this long a program is ready, whatever it still waits for: its status says what. */
const GRACE_MS = 15_000;
/** Shares of the watchdog's time: a pass may take nearly all of it. */
const LOOKS_PER_WATCHDOG = 8;

/** A program as the service manager sees it. */
export interface Service {
  /** Does its work. */
  isReady(): boolean;
  /** How many rounds of its loop have ended, well or badly; the watchdog is fed only while they grow. */
  rounds(): number;
  /** How it does, in one line. */
  status(): string;
}

/**
 * Tells the service manager how the program does, for as long as it runs. Answers how to say that it stops, and within
 * which time where that is more than usual.
 */
export function serve(
  manager: ServiceManager | undefined,
  service: Service,
): (status: string, withinMs?: number) => void {
  if (!manager) return () => {};
  const { watchdogMs } = manager;
  const began = performance.now();
  let isReady = false;
  let stopping = false;
  let told = '';
  let rounds = 0;
  const look = () => {
    const news: Record<string, string> = {};
    const status = service.status();
    if (status !== told && !stopping) told = news.STATUS = status;
    if (!isReady && (service.isReady() || performance.now() - began > GRACE_MS)) {
      isReady = true;
      news.READY = '1';
    }
    if (watchdogMs !== undefined && service.rounds() !== rounds) news.WATCHDOG = '1';
    rounds = service.rounds();
    if (Object.keys(news).length > 0) manager.tell(news);
  };
  setInterval(look, Math.min(LOOK_MS, (watchdogMs ?? Number.POSITIVE_INFINITY) / LOOKS_PER_WATCHDOG)).unref();
  look();
  return (status, withinMs) => {
    stopping = true;
    const longer = withinMs === undefined ? {} : { EXTEND_TIMEOUT_USEC: String(Math.ceil(withinMs * 1000)) };
    manager.tell({ STOPPING: '1', STATUS: status, ...longer });
  };
}
