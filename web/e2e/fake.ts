import { createHash, createSign } from 'node:crypto';

const FAKE = process.env.FAKE_GCS_URL ?? '';
export const BUCKET = process.env.FAKE_GCS_BUCKET ?? '';

interface Entry {
  method: string;
  target: string;
  fault: string;
  status: number;
}

interface Told {
  account: { client_email: string; private_key: string };
  log: Entry[];
  open_sessions: number;
}

/** Give the fake of Google Cloud Storage orders, and hear what it says of itself. */
export async function control(orders: object = {}): Promise<Told> {
  const answer = await fetch(`${FAKE}/_control`, { method: 'POST', body: JSON.stringify(orders) });
  return answer.json();
}

/** The requests that named an object, oldest first. */
export async function logOf(objectPath: string): Promise<Entry[]> {
  const { log } = await control();
  return log.filter(({ target }) => decodeURIComponent(target).includes(objectPath));
}

/** The SHA-256 of an object's bytes as the fake keeps them. */
export async function hashOf(objectPath: string): Promise<string> {
  const place = `/storage/v1/b/${BUCKET}/o/${encodeURIComponent(objectPath)}?alt=media`;
  const answer = await fetch(FAKE + place, {
    headers: { Authorization: `Bearer ${await token()}` },
  });
  const hash = createHash('sha256');
  for await (const chunk of answer.body ?? []) hash.update(chunk);
  return hash.digest('hex');
}

async function token(): Promise<string> {
  const path = '/computeMetadata/v1/instance/service-accounts/default/token';
  const answer = await fetch(FAKE + path, { headers: { 'Metadata-Flavor': 'Google' } });
  return (await answer.json()).access_token;
}

export interface Ticket {
  uploadURL: string;
  objectPath: string;
  headers: Record<string, string>;
}

/** The same permission, but signed an hour ago to live a minute, by Google's published rules. */
export async function signLongAgo({ uploadURL, headers }: Ticket): Promise<string> {
  const { account } = await control();
  const url = new URL(uploadURL);
  const stamp = new Date(Date.now() - 3_600_000).toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${stamp.slice(0, 8)}/auto/storage/goog4_request`;
  url.searchParams.delete('X-Goog-Signature');
  url.searchParams.set('X-Goog-Date', stamp);
  url.searchParams.set('X-Goog-Expires', '60');
  url.searchParams.set('X-Goog-Credential', `${account.client_email}/${scope}`);
  const query = [...url.searchParams]
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .sort()
    .join('&');
  const sent = Object.entries({ ...headers, host: url.host });
  const values = new Map(sent.map(([name, value]) => [name.toLowerCase(), value]));
  const names = url.searchParams.get('X-Goog-SignedHeaders') ?? '';
  const signed = names.split(';').map((name) => `${name}:${values.get(name)}`);
  const lines = ['PUT', url.pathname, query, ...signed, '', names, 'UNSIGNED-PAYLOAD'];
  const digest = createHash('sha256').update(lines.join('\n')).digest('hex');
  const signer = createSign('RSA-SHA256');
  signer.update(['GOOG4-RSA-SHA256', stamp, scope, digest].join('\n'));
  const signature = signer.sign(account.private_key, 'hex');
  return `${url.origin}${url.pathname}?${query}&X-Goog-Signature=${signature}`;
}
