-- Times are microseconds since the Unix epoch. `attempt` counts claims and, with worker_id, is the
-- fence; `failures` counts attempts that were spent. The CHECKs hold what each state means.
-- `active_user` (the user, while available or running) makes a user's jobs in play countable in an
-- index alone, one that a claim does not have to rewrite.
CREATE TABLE jobs (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN
    ('scheduled', 'blocked', 'available', 'running', 'succeeded', 'failed', 'cancelled')),
  lane INTEGER NOT NULL,
  ord INTEGER NOT NULL,
  run_at INTEGER,
  payload TEXT NOT NULL,
  result TEXT,
  error TEXT,
  attempts TEXT NOT NULL DEFAULT '[]',
  attempt INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  max_failures INTEGER NOT NULL,
  crashes TEXT NOT NULL DEFAULT '[]',
  worker_id TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  settled INTEGER NOT NULL DEFAULT 0,
  idempotency_key TEXT,
  request_hash TEXT,
  retry_of TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  active_user TEXT,
  CHECK (active_user IS CASE WHEN state IN ('available', 'running') THEN user_id END),
  CHECK ((state = 'running') = (worker_id IS NOT NULL)),
  CHECK ((state = 'scheduled') = (run_at IS NOT NULL)),
  CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
  CHECK ((state = 'succeeded') = (result IS NOT NULL)),
  CHECK (state <> 'failed' OR error IS NOT NULL)
) STRICT;

CREATE INDEX jobs_ready ON jobs (kind, lane, ord) WHERE state = 'available';

CREATE INDEX jobs_active ON jobs (kind, active_user) WHERE active_user IS NOT NULL;

CREATE INDEX jobs_blocked ON jobs (kind, user_id, lane, ord) WHERE state = 'blocked';

CREATE INDEX jobs_scheduled ON jobs (run_at) WHERE state = 'scheduled';

CREATE INDEX jobs_running ON jobs (worker_id) WHERE state = 'running';

CREATE INDEX jobs_unsettled ON jobs (finished_at) WHERE settled = 0 AND finished_at IS NOT NULL;

CREATE INDEX jobs_settled ON jobs (finished_at) WHERE settled = 1;

CREATE INDEX jobs_of_user ON jobs (user_id, created_at, id);

CREATE UNIQUE INDEX jobs_idempotency ON jobs (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- One row a worker process; its jobs are alive as long as it is.
CREATE TABLE workers (
  id TEXT NOT NULL PRIMARY KEY,
  lease_until INTEGER NOT NULL
) STRICT;
