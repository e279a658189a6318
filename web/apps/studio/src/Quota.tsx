import { type ServiceOptions, useMediaUsage } from '@project/realtime';
import { formatBytes } from '@project/ui';
import { leftToday } from './leftToday.js';

/** How much is kept, of how much that may be, and what may still be made today. */
export function Quota({ service }: { service: ServiceOptions }) {
  const { usage } = useMediaUsage(service);
  if (!usage) return <span className="quota" />;
  const { bytes, objects, quotaBytes } = usage;
  const said = `${objects} ${objects === 1 ? 'item' : 'items'}, ${formatBytes(bytes)}`;
  const left = leftToday(usage.limits ?? []);
  return (
    <span className="quota">
      {quotaBytes ? `${said} of ${formatBytes(quotaBytes)}` : said}
      {quotaBytes && (
        <meter max={quotaBytes} high={quotaBytes * 0.9} value={bytes} aria-label="Space used" />
      )}
      {left && <span className="quota-left">{left}</span>}
    </span>
  );
}
