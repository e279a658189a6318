import { type ServiceOptions, useJobEvents } from '@project/realtime';
import { useCallback, useEffect, useState } from 'react';
import { formatSize } from './formatSize.js';
import { readUsage, type Usage } from './operations.js';

const TELLING = /_complete$|media_deleted|ready|reset/;

/** How much is kept, and of how much that may be. */
export function Quota({ service }: { service: ServiceOptions }) {
  const [usage, setUsage] = useState<Usage | null>(null);
  const read = useCallback(
    () => void readUsage(service).then(setUsage, () => undefined),
    [service],
  );
  useEffect(read, [read]);
  useJobEvents({ ...service, onEvent: ({ type }) => TELLING.test(type) && read() });
  if (!usage) return <span className="quota" />;
  const { bytes, objects, quotaBytes } = usage;
  const said = `${objects} ${objects === 1 ? 'item' : 'items'}, ${formatSize(bytes)}`;
  return (
    <span className="quota">
      {quotaBytes ? `${said} of ${formatSize(quotaBytes)}` : said}
      {quotaBytes && (
        <meter max={quotaBytes} high={quotaBytes * 0.9} value={bytes} aria-label="Space used" />
      )}
    </span>
  );
}
