import type { EdgePort, UrlMatch } from '../../url-schema.ts';
import { hash53 } from './hash.ts';

/** Where on a real server things lie, as its operator has said. */
export interface EdgeHost {
  /** Folder of the images. */
  root: string;
  /** Folder in which nginx makes one of its own for what it keeps. */
  cache: string;
  /** Of the ports that speak TLS. */
  certificate?: string | undefined;
  key?: string | undefined;
  /** What tells that certificate from the next one, so that nginx is made to read a new one. */
  certificateIs?: string | undefined;
}

export interface EdgeService extends EdgePort {
  vip: string;
  port: number;
}

/** First line of everything that is written here; a file without it is somebody else's. */
export const edgeMarker = '# Written by dsr-agent, which writes it anew at every change: edit the pool instead.';

/** Answered by the real server itself, with the stamp of the configuration that it runs with. */
export const edgePath = '/.well-known/dsr-edge';

/** How long what a real server did not have is kept when the director does not say. */
const keptFor = '30d';

/**
 * The configuration of a real server's nginx, for its `http` block: requests that the rules give to real servers are
 * answered from the folder of the images, or from what was once fetched from the director; everything else is passed on
 * to the director. In nginx's own variables: $uri is decoded and normal, $host in lower case and without a port.
 *
 * @returns the text, and a stamp of it, which the running server shows at {@link edgePath}
 */
export function edgeNginx(services: readonly EdgeService[], host: EdgeHost): { text: string; stamp: string } {
  const parts = services.map((service) => serviceText(service, host)).join('\n');
  const body = `${shared}\n${parts}`;
  const stamp = hash53(body).toString(16).padStart(14, '0');
  return { text: `${edgeMarker}\n${body.replaceAll(stampMark, stamp)}`, stamp };
}

const stampMark = '@stamp@';

// The only Upgrade that is passed on: others, such as h2c, would open a way around all rules.
const shared = `
map $http_upgrade $dsr_upgrade {
  default "";
  "~*^websocket\\z" websocket;
}
map $dsr_upgrade $dsr_connection {
  default upgrade;
  "" close;
}
`;

function serviceText(service: EdgeService, host: EdgeHost): string {
  const { vip, port, rules, otherwise, origin, cacheMb, tls, generation, purged } = service;
  const id = `dsr_${vip.replace(/[.:]/g, '_')}_${port}`;
  const address = vip.includes(':') ? `[${vip}]` : vip;
  const usual = port === (tls ? 443 : 80);
  const isCached = cacheMb > 0;
  const flag = tls ? ' ssl' : '';
  return `# ${address}:${port}
${isCached ? `proxy_cache_path ${quoted(`${host.cache}/${id}`)} levels=1:2 keys_zone=${id}:10m max_size=${cacheMb}m inactive=${keptFor} use_temp_path=off;\n` : ''}
# Which rule matches, and whom it names; the first that does decides.
map "$request_method $host $uri" $${id}_to {
  default ${otherwise};
${rules.map(({ match, to }) => `  "~${ruleRegex(match)}" ${to};`).join('\n')}
}
map $${id}_to $${id}_file {
  default "/";
  real-servers $uri;
}
${
  isCached
    ? `map $${id}_to $${id}_cache {
  default off;
  real-servers ${id};
}
map $uri $${id}_generation {
  default ${generation};
${purged.map((one) => `  "~${purgeRegex(one.path)}" ${one.generation};`).join('\n')}
}
`
    : ''
}map $host $${id}_host {
  default ${usual ? '$host' : `$host:${port}`};
  _ ${usual ? address : `${address}:${port}`};
}
server {
  # The second listens by itself only where no server listens on all addresses: so nginx starts without the VIP too.
  listen ${vip.includes(':') ? `[::]:${port}` : port}${flag};
  listen ${address}:${port}${flag};
  server_name _;
${tls ? `  # ${host.certificateIs}\n  ssl_certificate ${quoted(host.certificate ?? '')};\n  ssl_certificate_key ${quoted(host.key ?? '')};\n` : ''}
  # As the rules are tested to be read.
  merge_slashes on;
  ignore_invalid_headers on;
  underscores_in_headers off;
  large_client_header_buffers 4 8k;

  client_max_body_size 0;
  sendfile on;
  tcp_nopush on;

  location = ${edgePath} {
    access_log off;
    default_type text/plain;
    return 200 "${stampMark}\\n";
  }
  location / {
    root ${quoted(host.root)};
    try_files $${id}_file @${id};
  }
  location @${id} {
    proxy_pass http://${origin};
    proxy_http_version 1.1;
    # Uploads go through as they come.
    proxy_request_buffering off;
    proxy_connect_timeout 5s;
    proxy_read_timeout 300s;
    proxy_send_timeout 300s;
    proxy_redirect off;
    proxy_set_header Host $${id}_host;
    proxy_set_header Connection $dsr_connection;
    proxy_set_header Upgrade $dsr_upgrade;
    # Whatever a client says of itself is overwritten.
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $${id}_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header Forwarded "";
${isCached ? cacheText(id) : ''}  }
}
`;
}

const cacheText = (id: string): string => `    proxy_cache $${id}_cache;
    proxy_cache_key "$${id}_generation $scheme $host $uri$is_args$args";
    proxy_cache_valid 200 ${keptFor};
    proxy_cache_valid 404 410 1s;
    proxy_cache_lock on;
    proxy_cache_lock_timeout 2s;
    proxy_cache_lock_age 10s;
    proxy_cache_revalidate on;
    proxy_cache_background_update on;
    proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
    proxy_cache_bypass $http_authorization;
    proxy_no_cache $http_authorization;
`;

/** Of "METHOD host path", which a path may have blanks in, but the others not. */
function ruleRegex({ methods, extensions, pathPrefix, host }: UrlMatch): string {
  const method = methods ? `(?:${methods.join('|')})` : '[^ ]+';
  const prefix = pathPrefix === undefined ? '' : `(?=${literal(pathPrefix)})`;
  const extension = extensions ? `(?s:.*)\\.(?i:${extensions.join('|')})\\z` : '';
  return `^${method} ${host === undefined ? '[^ ]*' : literal(host)} ${prefix}${extension}`;
}

/** A path that ends with "/" stands for all below it. */
const purgeRegex = (path: string): string => `^${literal(path)}${path.endsWith('/') ? '' : '\\z'}`;

/** A text as a regular expression of its bytes: nothing in it that PCRE or nginx could read as anything else. */
function literal(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9/_-]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/** A path of the agent's settings, which allow neither quotes nor backslashes nor "$". */
const quoted = (path: string): string => `"${path}"`;
