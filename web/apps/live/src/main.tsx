import { examples } from 'example:all';
import { createRoot } from 'react-dom/client';
import { Frame } from './Frame.tsx';
import { give } from './given.ts';
import { begin } from './jobs.ts';
import { connect } from './network.ts';
import { createService } from './service.ts';
import './live.css';
import { followSite } from './site.ts';

const root = document.getElementById('root');
const name = new URLSearchParams(location.search).get('of') ?? '';
const load = examples[name];
if (!root || !load) throw new Error(`There is no example ${name}.`);

followSite();
const service = createService();
connect(service);
const given = await give(service);
const [Example] = Object.values(await load());
if (!Example) throw new Error(`${name} exports no component.`);

const ask = (prompt: string) => begin(service.work, 'generate.image', { prompt }).jobId;
const props = { ...given, jobId: ask('a lighthouse at dawn') };
createRoot(root).render(
  <Frame
    name={`${name.slice(0, name.indexOf('.'))}, live`}
    onAsk={() => void ask('a mill by a river')}
  >
    <Example {...props} />
  </Frame>,
);
