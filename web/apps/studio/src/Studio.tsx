import { isEnded, useJobEvents, useJobs, useMediaUpload } from '@project/realtime';
import { type CardJob, toDraft, UploadDock } from '@project/ui';
import { useMemo, useState } from 'react';
import { Activity, hasCard } from './Activity.js';
import { ConnectionDot } from './ConnectionDot.js';
import { Create, type Seed } from './Create.js';
import { Developer } from './Developer.js';
import { type Part, Parts } from './Parts.js';
import { Shelf } from './Shelf.js';
import { Shortcuts } from './Shortcuts.js';
import { HOME, type Session } from './session.js';
import { TokenForm } from './TokenForm.js';
import { Wordmark } from './Wordmark.js';

interface StudioProps {
  session: Session;
  onToken: (token: string) => void;
  onSignOut: () => void;
}

/** The one screen: compose, watch, keep. */
export function Studio({ session, onToken, onSignOut }: StudioProps) {
  const service = useMemo(() => ({ ...HOME, headers: session.headers }), [session]);
  const { status } = useJobEvents(service);
  const [seed, setSeed] = useState<Seed>({ key: 0, draft: {} });
  const { jobs, status: jobsStatus } = useJobs(service);
  const [part, setPart] = useState<Part>(location.search ? 'library' : 'create');
  const [developing, setDeveloping] = useState(false);
  const { uploads, cancel, retry, remove } = useMediaUpload(service);
  const [notice, setNotice] = useState<string | null>(null);

  const show = (part: Part) => {
    setPart(part);
    scrollTo({ top: 0 });
  };
  const compose = (draft: Seed['draft']) => {
    setSeed(({ key }) => ({ key: key + 1, draft }));
    show('create');
  };
  const reuse = ({ kind, request }: CardJob) =>
    compose(toDraft(kind.includes('video') ? 'video' : 'image', request ?? {}));
  const report = (problem: unknown) =>
    setNotice(problem instanceof Error ? problem.message : 'That did not work.');

  return (
    <>
      <header className="bar">
        <Wordmark />
        <ConnectionDot status={status} />
        <button
          type="button"
          className="pu-button"
          data-look="quiet"
          aria-expanded={developing}
          onClick={() => setDeveloping(!developing)}
        >
          Developer
        </button>
        {session.pasted && (
          <button type="button" className="pu-button" data-look="quiet" onClick={onSignOut}>
            Forget token
          </button>
        )}
      </header>
      <main className="page pu" data-part={part} data-jobs={jobsStatus}>
        {status === 'offline' && (
          <div className="banner" data-look="calm" role="status">
            <p>You are offline. What you see may be old; uploads wait and go on by themselves.</p>
          </div>
        )}
        {status === 'unauthorized' && (
          <div className="banner" role="alert">
            <p>
              The service no longer accepts this token. Paste another; nothing you wrote is lost.
            </p>
            <TokenForm onToken={onToken} />
          </div>
        )}
        {notice && (
          <div className="banner" role="alert">
            <p>{notice}</p>
            <button
              type="button"
              className="pu-button"
              data-look="quiet"
              onClick={() => setNotice(null)}
            >
              Dismiss
            </button>
          </div>
        )}
        <Create service={service} seed={seed} />
        <Activity service={service} onReuse={reuse} onProblem={report} />
        <Shelf service={service} onExample={(prompt) => compose({ prompt })} />
      </main>
      <UploadDock
        uploads={uploads}
        onCancel={cancel}
        onRetry={(id) => retry(id).catch(() => undefined)}
        onRemove={remove}
      />
      <Parts
        shown={part}
        running={jobs.filter((job) => hasCard(job) && !isEnded(job.state)).length}
        onShow={show}
      />
      {developing && <Developer service={service} onClose={() => setDeveloping(false)} />}
      <Shortcuts />
    </>
  );
}
