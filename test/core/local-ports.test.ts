import t from 'tap';
import { localPortProblem, localPortWell } from '../../src/core/local-ports.ts';

const id = { vip: '192.0.2.100', port: 8080, protocol: 'tcp' } as const;
const key = '192.0.2.100:8080/tcp';
const problem = (listening: boolean | undefined, ...codes: (string | undefined)[]) =>
  localPortProblem(id, {
    listening: new Map(listening === undefined ? [] : [[key, listening]]),
    connections: new Map(codes.map((code) => [key, code])),
  });

t.test('a port is well where something listens that accepts, or of which nothing is known', async (t) => {
  t.equal(problem(undefined), undefined);
  t.equal(problem(true), undefined);
  t.equal(problem(true, undefined), undefined);
});

t.test('what is wrong is told with what to do', async (t) => {
  t.match(problem(false), /8080\/tcp stays on this host, and nothing listens .*: start the program/);
  t.match(
    problem(true, 'ECONNREFUSED'),
    /^something listens on 8080\/tcp of this host, but does not accept a connection to 192\.0\.2\.100:8080 within 500 ms: it is refused; look/,
  );
  t.match(problem(true, 'ETIMEDOUT'), /: there is no answer; the program hangs/);
  t.match(problem(true, 'EMFILE'), /: EMFILE$/);
});

t.test('that it is well again is told with the proof', async (t) => {
  const listening = new Map([[key, true]]);
  t.match(localPortWell(id, { listening, connections: new Map() }), /something listens again$/);
  t.match(
    localPortWell(id, { listening, connections: new Map([[key, undefined]]) }),
    /again, and a connection to 192\.0\.2\.100:8080 is accepted$/,
  );
});
