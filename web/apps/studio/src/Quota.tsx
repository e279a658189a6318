import { type ServiceOptions, useMediaUsage } from '@project/realtime';
import { formatBytes } from '@project/ui';

/** How much is kept, and of how much that may be. */
export function Quota({ service }: { service: ServiceOptions }) {
  const { usage } = useMediaUsage(service);
  if (!usage) return <span className="quota" />;
  const { bytes, objects, quotaBytes } = usage;
  const said = `${objects} ${objects === 1 ? 'item' : 'items'}, ${formatBytes(bytes)}`;
  return (
    <span className="quota">
      {quotaBytes ? `${said} of ${formatBytes(quotaBytes)}` : said}
      {quotaBytes && (
        <meter max={quotaBytes} high={quotaBytes * 0.9} value={bytes} aria-label="Space used" />
      )}
    </span>
  );
}
