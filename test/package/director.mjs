// A director's controller as far as an agent needs one, which writes down what it hears. It runs on a machine of its own, so
// that it is plain JavaScript: director.mjs ADDRESS NAME LOG VIP [EDGE].
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [address, name, log, vip, edge] = process.argv.slice(2);
const wanted = { vip, address: '192.0.2.11', ports: ['80/tcp'], ...(edge && { edge: JSON.parse(edge) }) };
const desired = { revision: 1, vips: [wanted], probers: [] };
let leftAt = Number.POSITIVE_INFINITY;
let said = '';
const note = (line) => {
  if (line !== said) appendFileSync(log, `${line}\n`);
  said = line;
};

createServer((request, response) => {
  const url = new URL(request.url, 'http://director');
  const answer = (body) => response.end(JSON.stringify(body));
  if (url.pathname === `/v1/agents/${name}/desired`) {
    const wait = url.searchParams.get('revision') === '1' ? 20_000 : 0;
    setTimeout(answer, wait, desired);
    return;
  }
  let text = '';
  request.on('data', (chunk) => {
    text += chunk;
  });
  request.on('end', () => {
    const report = JSON.parse(text);
    const torn = report.problems?.includes('this agent is being torn down');
    if (report.leaving) leftAt = Math.min(leftAt, Date.now());
    // Its last connection ends two seconds after it said that it leaves.
    const connections = Date.now() - leftAt > 2000 ? 0 : 1;
    if (torn) note('torn down');
    else if (!report.leaving) note('serves');
    else note(connections > 0 ? 'leaves' : 'has left');
    answer({ revision: 1, serving: report.leaving ? 0 : 1, connections });
  });
}).listen(7100, address);
