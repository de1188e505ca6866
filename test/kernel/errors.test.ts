import { constants } from 'node:os';
import t from 'tap';
import type { Step } from '../../src/core/steps.ts';
import { CodedError } from '../../src/errors.ts';
import { codeOf, kernelError } from '../../src/kernel/errors.ts';
import { failureOf } from '../../src/kernel/failures.ts';
import { adviceFor } from '../../src/kernel/ipvs-outcome.ts';

const { EPERM, ENOENT, ESRCH, ENODEV, ERANGE, EROFS, EINVAL } = constants.errno;

t.test('an errno has the name that the kernel gives it, and a number where nobody knows it', async (t) => {
  t.strictSame([EPERM, ENOENT, ESRCH, ERANGE].map(codeOf), ['EPERM', 'ENOENT', 'ESRCH', 'ERANGE']);
  t.equal(codeOf(4000), 'E4000');
});

t.test('an error says what could not be done, why, and in whose words', async (t) => {
  const error = kernelError('do it', { errno: EINVAL, detail: 'Not like this' });
  t.ok(error instanceof CodedError);
  t.equal(error.message, 'cannot do it: invalid argument (kernel: Not like this)');
  t.equal(error.exitCode, 1);
  t.equal(kernelError('do it', { errno: 4000 }).message, 'cannot do it: error 4000');
});

t.test('missing privilege ends a program with 3 and says how to get it', async (t) => {
  t.match(kernelError('do it', { errno: EPERM }), { exitCode: 3, message: /run as root or with CAP_NET_ADMIN/ });
  t.equal(kernelError('do it', { errno: EROFS }).exitCode, 3);
});

t.test('a refused step says what it was about and what to do', async (t) => {
  const service = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
  const config = {
    scheduler: 'fox',
    schedulerBits: [],
    persistenceSeconds: 0,
    persistencePrefix: 32,
    onePacket: false,
  };
  const destination = { address: '192.0.2.11', port: 80, method: 'gatewaying', weight: -1 } as const;
  const ipvs = (step: Parameters<typeof adviceFor>[0], errno: number) =>
    failureOf(step, { errno }, adviceFor(step)).message;
  t.equal(
    ipvs({ op: 'add-service', service, config }, ENOENT),
    'cannot add service 192.0.2.100:80/tcp: the kernel has no scheduler "fox"; try `modprobe ip_vs_fox`',
  );
  t.match(ipvs({ op: 'set-service', service, config }, ESRCH), /no such service/);
  t.match(
    ipvs(
      { op: 'add-destination', service, destination: { ...destination, upperThreshold: 0, lowerThreshold: 0 } },
      ERANGE,
    ),
    /add destination 192.0.2.100:80\/tcp to 192.0.2.11: a weight below 0/,
  );
  t.match(
    ipvs({ op: 'delete-destination', service, address: '192.0.2.11', port: 80 }, EPERM),
    /to 192.0.2.11: missing/,
  );
  const step: Step = { op: 'set-sysctl', key: 'net.x', value: '1' };
  t.strictSame(failureOf(step, { errno: ENODEV }), {
    step,
    code: 'ENODEV',
    message: 'cannot set sysctl net.x: no such interface',
  });
});
