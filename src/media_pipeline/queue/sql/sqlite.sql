-- name: find_key
-- The job that a user's idempotency key stands for.
SELECT * FROM jobs WHERE user_id = :user_id AND idempotency_key = :idempotency_key;

-- name: forget_key
-- Free an idempotency key whose time is over.
UPDATE jobs SET idempotency_key = NULL WHERE id = :id;

-- name: in_play
-- How many of a user's jobs of a kind are available or run, counted up to the window.
SELECT count(*) AS jobs FROM (SELECT 1 FROM jobs INDEXED BY jobs_active
  WHERE kind = :kind AND active_user = :user_id LIMIT :window);

-- name: insert
-- Keep a job.
INSERT INTO jobs (id, user_id, active_user, kind, state, lane, ord, run_at, payload, max_failures,
                  idempotency_key, request_hash, retry_of, trace, created_at)
VALUES (:id, :user_id, :active_user, :kind, :state, :lane, :now, :run_at, :payload, :max_failures,
        :idempotency_key, :request_hash, :retry_of, :trace, :now)
RETURNING *;

-- name: get
-- One job.
SELECT * FROM jobs WHERE id = :id;

-- name: list
-- A user's jobs, newest first, after a place.
SELECT * FROM jobs INDEXED BY jobs_of_user
WHERE user_id = :user_id AND (created_at, id) < (:created_at, :id)
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- name: next_owner
-- The next user who has jobs, in a fixed order.
SELECT min(user_id) AS user_id FROM jobs WHERE user_id > :after;

-- name: claim
-- Take the oldest available jobs of one kind and lane.
UPDATE jobs SET state = 'running', attempt = attempt + 1, worker_id = :worker_id,
  started_at = coalesce(started_at, :now)
WHERE state = 'available' AND id IN (
  SELECT id FROM jobs INDEXED BY jobs_ready
  WHERE state = 'available' AND kind = :kind AND lane = :lane ORDER BY ord LIMIT :limit)
RETURNING *;

-- name: is_blocked
-- Whether any of a user's jobs waits for room: a tenth of what `promote` costs to find that out.
SELECT 1 AS one FROM jobs INDEXED BY jobs_blocked
WHERE state = 'blocked' AND kind = :kind AND user_id = :user_id LIMIT 1;

-- name: promote
-- Let a user's oldest blocked jobs into the room that the window has.
UPDATE jobs SET state = 'available', active_user = user_id, ord = :now
WHERE state = 'blocked' AND id IN (
  SELECT id FROM jobs INDEXED BY jobs_blocked
  WHERE state = 'blocked' AND kind = :kind AND user_id = :user_id ORDER BY lane, ord
  LIMIT max(0, :window - (SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_active
    WHERE kind = :kind AND active_user = :user_id LIMIT :window))))
RETURNING id;

-- name: blocked_users
-- Whose jobs are blocked, by kind: one step in the index for each user, however many wait.
WITH RECURSIVE blocked (kind, user_id) AS (
  SELECT * FROM (SELECT kind, user_id FROM jobs INDEXED BY jobs_blocked
    WHERE state = 'blocked' ORDER BY kind, user_id LIMIT 1)
  UNION ALL
  SELECT next.kind, next.user_id FROM blocked JOIN jobs AS next ON next.rowid = (
    SELECT rowid FROM jobs INDEXED BY jobs_blocked
    WHERE state = 'blocked' AND (kind, user_id) > (blocked.kind, blocked.user_id)
    ORDER BY kind, user_id LIMIT 1))
SELECT kind, user_id FROM blocked;

-- name: due
-- Scheduled jobs whose time has come, in the order of that time.
SELECT id, kind, user_id, run_at FROM jobs INDEXED BY jobs_scheduled
WHERE state = 'scheduled' AND run_at <= :now ORDER BY run_at LIMIT :limit;

-- name: admit
-- Let a scheduled job into its user's window, or wait for room in it.
UPDATE jobs SET state = :state, active_user = :active_user, ord = :ord, run_at = NULL
WHERE id = :id AND state = 'scheduled';

-- name: next_due
-- When the next scheduled job is due.
SELECT min(run_at) AS run_at FROM jobs INDEXED BY jobs_scheduled WHERE state = 'scheduled';

-- name: cancel_waiting
-- End a job that waits.
UPDATE jobs SET state = 'cancelled', active_user = NULL, finished_at = :now, run_at = NULL,
  cancel_requested = 1
WHERE id = :id AND state IN ('scheduled', 'blocked', 'available') RETURNING *;

-- name: cancel_running
-- Ask for a running job to be stopped.
UPDATE jobs SET cancel_requested = 1 WHERE id = :id AND state = 'running' RETURNING *;

-- name: cancel_requests
-- Which of a worker's jobs are to be stopped.
SELECT id FROM jobs INDEXED BY jobs_running
WHERE worker_id = :worker_id AND state = 'running' AND cancel_requested = 1;

-- name: record
-- Put the attempts so far on the record.
UPDATE jobs SET attempts = :attempts
WHERE id = :id AND attempt = :attempt AND worker_id = :worker_id AND state = 'running' RETURNING id;

-- name: finish
-- End a run with its result.
UPDATE jobs SET state = 'succeeded', active_user = NULL, result = :result, error = NULL, worker_id = NULL,
  finished_at = :now
WHERE id = :id AND attempt = :attempt AND worker_id = :worker_id AND state = 'running' RETURNING *;

-- name: leave
-- End a run without a result, as it was decided; one that is given back keeps its place in its lane
-- or goes behind those that wait.
UPDATE jobs SET state = :state, ord = CASE WHEN :behind THEN :now ELSE ord END, error = :error, failures = :failures, crashes = :crashes, run_at = :run_at,
  active_user = CASE WHEN :state = 'available' THEN user_id END, worker_id = NULL,
  finished_at = CASE WHEN :state IN ('failed', 'cancelled') THEN :now END
WHERE id = :id AND attempt = :attempt AND worker_id = :worker_id AND state = 'running' RETURNING *;

-- name: running
-- A run as its fence names it.
SELECT * FROM jobs
WHERE id = :id AND attempt = :attempt AND worker_id = :worker_id AND state = 'running';

-- name: abandoned
-- Running jobs of workers that have no lease.
SELECT * FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND worker_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = worker_id);

-- name: held
-- What a worker runs.
SELECT * FROM jobs INDEXED BY jobs_running WHERE worker_id = :worker_id AND state = 'running';

-- name: register
-- A worker begins, perhaps anew.
INSERT INTO workers (id, lease_until) VALUES (:id, :lease_until)
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until;

-- name: alive
-- A worker whose lease has not run out.
SELECT id FROM workers WHERE id = :id AND lease_until > :now;

-- name: beat
-- A worker lives on, unless its jobs were given away.
UPDATE workers SET lease_until = :lease_until WHERE id = :id RETURNING id;

-- name: bury
-- Forget workers whose lease ran out; from here on they are refused.
DELETE FROM workers WHERE lease_until <= :now;

-- name: bury_all
-- Forget every worker of an earlier process.
DELETE FROM workers;

-- name: retire
-- Forget one worker.
DELETE FROM workers WHERE id = :id;

-- name: unsettled
-- Ended jobs whose end was not yet told everywhere.
SELECT * FROM jobs INDEXED BY jobs_unsettled
WHERE settled = 0 AND finished_at IS NOT NULL AND finished_at <= :before ORDER BY finished_at LIMIT :limit;

-- name: amend
-- Put what became known after its end on an unsettled job's record.
UPDATE jobs SET attempts = :attempts WHERE id = :id AND finished_at IS NOT NULL AND settled = 0;

-- name: settle
-- Note that a job's end was told and its leftovers are gone.
UPDATE jobs SET settled = 1 WHERE id = :id AND finished_at IS NOT NULL;

-- name: prune
-- Forget old settled jobs.
DELETE FROM jobs WHERE id IN (
  SELECT id FROM jobs INDEXED BY jobs_settled WHERE settled = 1 AND finished_at <= :before LIMIT :limit)
RETURNING id;

-- name: forget
-- Forget settled jobs of a user.
DELETE FROM jobs WHERE id IN (
  SELECT id FROM jobs INDEXED BY jobs_of_user WHERE user_id = :user_id AND settled = 1 LIMIT :limit)
RETURNING id;

-- name: depth
-- How many jobs wait or run, by kind and state, and since when the oldest is available.
SELECT kind, 'scheduled' AS state, count(*) AS jobs, NULL AS oldest
FROM jobs INDEXED BY jobs_scheduled WHERE state = 'scheduled' GROUP BY kind
UNION ALL
SELECT kind, 'blocked', count(*), NULL FROM jobs INDEXED BY jobs_blocked WHERE state = 'blocked' GROUP BY kind
UNION ALL
SELECT kind, 'available', count(*), min(ord) FROM jobs INDEXED BY jobs_ready
WHERE state = 'available' GROUP BY kind
UNION ALL
SELECT kind, 'running', count(*), NULL FROM jobs INDEXED BY jobs_running
WHERE state = 'running' AND worker_id IS NOT NULL GROUP BY kind;
