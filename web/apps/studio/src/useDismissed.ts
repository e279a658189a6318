import type { LiveJob } from '@project/realtime';
import { useEffect, useMemo, useState } from 'react';

const KEY = 'media-pipeline.dismissed';
const LINGER = 6_000;
const REMEMBERED = 200;

/** Jobs whose cards have gone: those put away by hand, and the done a moment after they ended. */
export function useDismissed(jobs: readonly LiveJob[]) {
  const [byHand, setByHand] = useState<readonly string[]>(recall);
  const [watched, setWatched] = useState<ReadonlySet<string>>(new Set());
  const [faded, setFaded] = useState<ReadonlySet<string>>(new Set());

  const running = jobs.filter(({ state }) => state === 'queued' || state === 'running');
  const fresh = running.filter(({ jobId }) => !watched.has(jobId));
  if (fresh.length > 0) setWatched(new Set([...watched, ...fresh.map(({ jobId }) => jobId)]));

  const ended = jobs.filter(
    ({ state, jobId }) => state === 'succeeded' && watched.has(jobId) && !faded.has(jobId),
  );
  const ending = ended.map(({ jobId }) => jobId).join(' ');
  useEffect(() => {
    if (!ending) return;
    const timer = setTimeout(
      () => setFaded((known) => new Set([...known, ...ending.split(' ')])),
      LINGER,
    );
    return () => clearTimeout(timer);
  }, [ending]);

  const dismissed = useMemo(() => {
    const old = jobs.filter(({ state, jobId }) => state === 'succeeded' && !watched.has(jobId));
    return new Set([...byHand, ...faded, ...old.map(({ jobId }) => jobId)]);
  }, [jobs, byHand, watched, faded]);

  const dismiss = (jobId: string) => {
    const next = [jobId, ...byHand].slice(0, REMEMBERED);
    localStorage.setItem(KEY, JSON.stringify(next));
    setByHand(next);
  };
  return { dismissed, dismiss };
}

function recall(): string[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]');
  } catch {
    return [];
  }
}
