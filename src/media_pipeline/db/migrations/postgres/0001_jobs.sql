-- Times are microseconds since the Unix epoch. `attempt` counts claims and, with worker_id, is the
-- fence; `failures` counts attempts that were spent. The CHECKs hold what each state means.
-- JSON is TEXT: it goes through the database byte for byte, also what JSONB would refuse.
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN
    ('scheduled', 'blocked', 'available', 'running', 'succeeded', 'failed', 'cancelled')),
  lane INT8 NOT NULL,
  ord INT8 NOT NULL,
  run_at INT8,
  payload TEXT NOT NULL,
  result TEXT,
  error TEXT,
  attempts TEXT NOT NULL DEFAULT '[]',
  attempt INT8 NOT NULL DEFAULT 0,
  failures INT8 NOT NULL DEFAULT 0,
  max_failures INT8 NOT NULL,
  crashes TEXT NOT NULL DEFAULT '[]',
  worker_id TEXT,
  cancel_requested BOOL NOT NULL DEFAULT false,
  settled BOOL NOT NULL DEFAULT false,
  idempotency_key TEXT,
  request_hash TEXT,
  retry_of TEXT,
  created_at INT8 NOT NULL,
  started_at INT8,
  finished_at INT8,
  active_user TEXT,
  CHECK (active_user IS NOT DISTINCT FROM CASE WHEN state IN ('available', 'running') THEN user_id END),
  CHECK ((state = 'running') = (worker_id IS NOT NULL)),
  CHECK ((state = 'scheduled') = (run_at IS NOT NULL)),
  CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
  CHECK ((state = 'succeeded') = (result IS NOT NULL)),
  CHECK (state <> 'failed' OR error IS NOT NULL)
)
