import { isEnded, type LiveJob, type ServiceOptions, useJobs } from '@project/realtime';
import { type CardJob, JobCard } from '@project/ui';
import { Snippet } from './Snippet.js';
import { useDismissed } from './useDismissed.js';

interface ActivityProps {
  service: ServiceOptions;
  onReuse: (job: CardJob) => void;
  onProblem: (problem: unknown) => void;
}

/** Cards of the jobs that run, have just ended, or failed and wait to be looked at. */
export function Activity({ service, onReuse, onProblem }: ActivityProps) {
  const { jobs, cancel, retry } = useJobs(service);
  const { dismissed, dismiss } = useDismissed(jobs);
  const shown = jobs.filter((job) => hasCard(job) && !dismissed.has(job.jobId)).slice(0, 24);
  if (shown.length === 0) return null;

  const retryOne = async (jobId: string) => {
    await retry(jobId).then(() => dismiss(jobId), onProblem);
  };
  return (
    <section aria-label="Activity" className="activity">
      <ul className="cards">
        {shown.map((job) => (
          <li key={job.jobId} data-job={job.jobId}>
            <JobCard
              job={job}
              onCancel={(jobId) => void cancel(jobId).catch(onProblem)}
              onRetry={(jobId) => void retryOne(jobId)}
              onReuse={onReuse}
              onDismiss={dismiss}
            />
            <JobCode job={job} />
          </li>
        ))}
      </ul>
      <p className="pu-sr" role="status">
        {summarise(shown)}
      </p>
    </section>
  );
}

/** How this job was asked for. */
function JobCode({ job }: { job: LiveJob }) {
  if (!job.request || !job.kind.startsWith('generate')) return null;
  const kind = job.kind.includes('video') ? 'video' : 'image';
  return <Snippet path={`/generate/${kind}`} body={job.request} hook={kind} />;
}

/** Uploads stand in the dock. */
export function hasCard({ kind }: LiveJob): boolean {
  return kind !== 'upload';
}

function summarise(jobs: readonly LiveJob[]): string {
  const open = jobs.filter(({ state }) => !isEnded(state)).length;
  const failed = jobs.filter(({ state }) => state === 'failed').length;
  return [open && `${open} running`, failed && `${failed} failed`].filter(Boolean).join(', ');
}
