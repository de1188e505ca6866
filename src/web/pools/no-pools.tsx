const example = `curl -X PUT '${location.origin}/v1/pools/web' -H 'content-type: application/json' -d '{
  "vip": "192.0.2.100",
  "ports": { "80/tcp": { "policy": "real-servers" } },
  "realServers": { "rs1": { "address": "192.0.2.11" } } }'`;

/** Before the first pool: how to make it. */
export function NoPools() {
  return (
    <section aria-labelledby="first">
      <h2 id="first">No pool yet</h2>
      <p>A pool is a virtual address, its ports, and the real servers that answer there. Make the first one:</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it with the keys */}
      <pre tabIndex={0}>{example}</pre>
    </section>
  );
}
