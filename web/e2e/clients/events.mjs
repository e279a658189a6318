/** The events of a picture's life; `EventSource` hears only names that it was told. */
export const NAMES = [
  'ready',
  'reset',
  'job_queued',
  'generation_started',
  'generation_progress',
  'generation_complete',
];

export function print(event, data, id) {
  console.log(JSON.stringify({ event, data: JSON.parse(data), id: id || null }));
}
