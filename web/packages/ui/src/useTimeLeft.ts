import { useEffect, useRef, useState } from 'react';

interface Sent {
  readonly status: string;
  readonly loaded: number;
  readonly file: { readonly size: number };
}

const GOING = ['queued', 'starting', 'sending'];
const EVERY = 1_000;
/** How much the newest second counts in the mean speed. */
const WEIGHT = 0.3;

/** Seconds until all bytes have gone at the speed of the last moments; null while that is not known. */
export function useTimeLeft(uploads: readonly Sent[]): number | null {
  const going = uploads.filter(({ status }) => GOING.includes(status));
  const missing = going.reduce((sum, upload) => sum + upload.file.size - upload.loaded, 0);
  const loaded = useRef(0);
  useEffect(() => {
    loaded.current = uploads.reduce((sum, upload) => sum + upload.loaded, 0);
  });
  const [speed, setSpeed] = useState(0);
  const active = going.length > 0;
  useEffect(() => {
    if (!active) return;
    let before = loaded.current;
    const timer = setInterval(() => {
      const now = Math.max(0, loaded.current - before);
      before = loaded.current;
      setSpeed((mean) => (mean ? mean + WEIGHT * (now - mean) : now));
    }, EVERY);
    return () => {
      clearInterval(timer);
      setSpeed(0);
    };
  }, [active]);
  return active && speed > 0 ? missing / speed : null;
}
