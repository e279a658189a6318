// The npm package `eventsource-parser` over `fetch`: every event as a line of JSON.
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { print } from './events.mjs';

const [address, token] = process.argv.slice(2);
const response = await fetch(`${address}/events`, {
  headers: { Authorization: `Bearer ${token}` },
});
const events = response.body
  .pipeThrough(new TextDecoderStream())
  .pipeThrough(new EventSourceParserStream());
for await (const { event, data, id } of events) print(event, data, id);
