// The lab's measurement: the same images directly and through HAProxy, and PHP, judged against the goals.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event, Goal, Result, Settings, Traffic } from './events.ts';
import { vip } from './hosts.ts';
import { ports } from './parts.ts';
import { drive, type Fetcher, type Measured, startFetcher, watchIdle } from './traffic.ts';
import { waitFor } from './wait.ts';

type Tell = (event: Event) => void;
type Measuring = Pick<Settings, 'realServers' | 'mbit' | 'seconds'>;

export const images = { count: 4, bytes: 200_000 };

const mostAttempts = 3;
/** Three such cards are less than a slow machine can fill. */
export const slowMbit = 30;

/**
 * Measures; again where the processor, and not the cards, has been the limit, at last with cards that even a slow or
 * busy machine can fill: the ratio does not depend on their speed.
 */
export async function measure(lab: Measured, settings: Measuring, tell: Tell): Promise<Result> {
  const fetcher = startFetcher(lab);
  try {
    await calm();
    return await measureUntilCardsLimit(lab, settings, fetcher, tell);
  } finally {
    fetcher.end();
  }
}

async function measureUntilCardsLimit(
  lab: Measured,
  settings: Measuring,
  fetcher: Fetcher,
  tell: Tell,
): Promise<Result> {
  let { mbit } = settings;
  for (let attempt = 1; ; attempt++) {
    const result = await measureOnce(lab, { ...settings, mbit }, fetcher, tell);
    const limited = !result.goals.every(({ met }) => met) && result.direct.idle < 0.35;
    if (!limited || attempt === mostAttempts) return result;
    const slower = attempt === mostAttempts - 1 && mbit > slowMbit;
    if (slower) {
      mbit = slowMbit;
      await lab.setSpeed(mbit);
    }
    const again = slower ? `Once more, with cards of ${mbit} Mbit/s, which ask less of it:` : 'Once more:';
    const words = `${result.ratio.toFixed(2)} x HAProxy, but the processor was busy, so the cards may not have been the limit.`;
    tell({ type: 'note', lines: ['', `${words} ${again}`] });
  }
}

async function measureOnce(lab: Measured, settings: Measuring, fetcher: Fetcher, tell: Tell): Promise<Result> {
  const { mbit, realServers, seconds } = settings;
  const step = (title: string, means: string): void => tell({ type: 'step', title, means });
  const load = { path: '/images/%d.jpg', count: images.count, connections: Math.max(24, 8 * realServers), seconds };
  const haproxyOrigin = `http://${lab.director.ip}:${ports.haproxy}`;

  step(
    'Direct Server Return',
    `the client fetches images from http://${vip}: every real server answers with its own card`,
  );
  const direct = await drive(lab, fetcher, { ...load, origin: `http://${vip}` }, tell);

  step('PHP', `the client asks http://${vip}:${ports.php}, which stays on the director`);
  const origin = `http://${vip}:${ports.php}`;
  const php = await drive(lab, fetcher, { origin, path: '/', count: 1, connections: 4, seconds: 2 }, tell);

  step('HAProxy', `the same images from ${haproxyOrigin}, as before: every reply leaves through the director's card`);
  const haproxy = await drive(lab, fetcher, { ...load, origin: haproxyOrigin }, tell);

  const ratio = direct.mbit / haproxy.mbit;
  const directorShare = (direct.cards.director?.outBytes ?? 0) / (direct.cards.client?.inBytes ?? 0);
  const goals = judge({ direct, php, ratio, directorShare }, lab);
  return { realServers, mbit, direct, php, haproxy, ratio, directorShare, goals };
}

/** Programs that have just started take the processor from the traffic: waits until half of it is idle, but not long. */
export async function calm(): Promise<void> {
  const isCalm = async (): Promise<boolean> => {
    const idle = await watchIdle();
    await sleep(1000);
    return (await idle()) > 0.5;
  };
  await waitFor(isCalm, { what: 'an idle processor', timeoutMs: 30_000 }).catch(() => {});
}

function judge(
  { direct, php, ratio, directorShare }: Omit<Result, 'goals' | 'haproxy' | 'mbit' | 'realServers'>,
  lab: Measured,
): Goal[] {
  const wanted = 0.95 * lab.realServers.length;
  const share = (part: number): string => `${(part * 100).toFixed(2)} %`;
  return [
    {
      what: 'Direct Server Return against HAProxy',
      goal: `at least ${wanted.toFixed(2)} x`,
      measured: `${ratio.toFixed(2)} x`,
      met: ratio >= wanted,
    },
    {
      what: "the director's card, of all that reached the client",
      goal: 'at most 1 %',
      measured: share(directorShare),
      met: directorShare <= 0.01,
    },
    answeredBy(
      'port 80 (images) was answered by',
      direct,
      lab.realServers.map(({ name }) => name),
    ),
    answeredBy('port 8080 (PHP) was answered by', php, [lab.director.name]),
  ];
}

/** By name and by MAC, all of them, nobody else, and without a failure. */
function answeredBy(what: string, { served, frames, failed }: Traffic, names: string[]): Goal {
  const all = names.toSorted().join(', ');
  const [bySaying, byMac] = [served, frames].map((counts) => Object.keys(counts).sort().join(', '));
  const ways = bySaying === byMac ? `${bySaying}` : `${bySaying} (by MAC: ${byMac || 'none seen'})`;
  return {
    what,
    goal: all,
    measured: failed ? `${ways}; ${failed} failed` : ways,
    met: bySaying === all && byMac === all && failed === 0,
  };
}
