// The npm package `eventsource`, as its README uses it: every event as a line of JSON.
import { EventSource } from 'eventsource';
import { NAMES, print } from './events.mjs';

const [address, token] = process.argv.slice(2);
const source = new EventSource(`${address}/events`, {
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } }),
});
for (const name of NAMES) {
  source.addEventListener(name, ({ data, lastEventId }) => print(name, data, lastEventId));
}
