import { type APIRequestContext, expect } from '@playwright/test';

/** The token that a development service gives its own page. */
export async function readToken(request: APIRequestContext, studio = ''): Promise<string> {
  const answer = await request.get('/studio/token', { headers: { Origin: studio } });
  return (await answer.json()).token;
}

/** Have a small film made, and answer its address. */
export async function makeFilm(request: APIRequestContext, studio = '', prompt = 'slow waves') {
  const headers = { Authorization: `Bearer ${await readToken(request, studio)}` };
  const data = { prompt, seconds: 1, width: 64, height: 64 };
  const { jobId } = await (await request.post('/generate/video', { headers, data })).json();
  let job = { state: '', result: { items: [{ url: '' }] } };
  await expect
    .poll(async () => {
      job = await (await request.get(`/jobs/${jobId}`, { headers })).json();
      return job.state;
    })
    .toBe('succeeded');
  return job.result.items[0]?.url ?? '';
}
