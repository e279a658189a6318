-- name: insert
-- Keep jobs: each in its user's window while there is room, blocked behind it, or scheduled.
WITH asked AS (
  SELECT t.*, coalesce(t.run_at > :now, false) AS later,
    row_number() OVER (PARTITION BY t.kind, t.user_id ORDER BY t.n) AS place
  FROM unnest(:ids::TEXT[], :user_ids::TEXT[], :kinds::TEXT[], :lanes::INT8[], :run_ats::INT8[],
              :payloads::TEXT[], :failure_limits::INT8[], :keys::TEXT[], :digests::TEXT[], :originals::TEXT[],
              :traces::TEXT[], :windows::INT8[]) WITH ORDINALITY
    AS t(id, user_id, kind, lane, run_at, payload, max_failures, idempotency_key, request_hash, retry_of,
         trace, room, n)),
in_play AS MATERIALIZED (
  SELECT u.kind, u.user_id, (SELECT count(*) FROM (
      SELECT 1 FROM jobs AS j WHERE j.kind = u.kind AND j.active_user = u.user_id LIMIT :most) AS counted) AS jobs
  FROM (SELECT DISTINCT asked.kind, asked.user_id FROM asked) AS u),
placed AS (
  SELECT asked.*, CASE WHEN asked.later THEN 'scheduled'
    WHEN asked.place + in_play.jobs <= asked.room THEN 'available' ELSE 'blocked' END AS state
  FROM asked JOIN in_play ON in_play.kind = asked.kind AND in_play.user_id = asked.user_id)
INSERT INTO jobs (id, user_id, active_user, kind, state, lane, ord, run_at, payload, max_failures,
                  idempotency_key, request_hash, retry_of, trace, created_at)
SELECT id, user_id, CASE WHEN state = 'available' THEN user_id END, kind, state, lane, :now + n - 1,
  CASE WHEN later THEN run_at END, payload, max_failures, idempotency_key, request_hash, retry_of, trace, :now
FROM placed ORDER BY n
ON CONFLICT DO NOTHING
RETURNING id, kind, user_id, state, run_at, created_at;

-- name: insert_one
-- Keep one job: what `insert` does, without the cost of grouping.
INSERT INTO jobs (id, user_id, active_user, kind, state, lane, ord, run_at, payload, max_failures,
                  idempotency_key, request_hash, retry_of, trace, created_at)
SELECT :id::TEXT, :user_id::TEXT, CASE WHEN placed.state = 'available' THEN :user_id::TEXT END, :kind::TEXT,
  placed.state, :lane::INT8, :now, CASE WHEN placed.state = 'scheduled' THEN :run_at::INT8 END,
  :payload::TEXT, :failure_limit::INT8, :key::TEXT, :digest::TEXT, :original::TEXT, :trace::TEXT, :now
FROM (SELECT CASE WHEN :run_at::INT8 > :now THEN 'scheduled'
    WHEN in_play.jobs < :most::INT8 THEN 'available' ELSE 'blocked' END AS state
  FROM (SELECT count(*) AS jobs FROM (SELECT 1 FROM jobs AS j
    WHERE j.kind = :kind::TEXT AND j.active_user = :user_id::TEXT LIMIT :most) AS counted) AS in_play) AS placed
ON CONFLICT DO NOTHING
RETURNING id, kind, user_id, state, run_at, created_at;

-- name: known
-- Jobs that stand there already, by their id or by their user's idempotency key.
SELECT j.*, :now AS now FROM unnest(:ids::TEXT[]) AS asked(id) JOIN jobs AS j ON j.id = asked.id
UNION
SELECT j.*, :now AS now FROM unnest(:user_ids::TEXT[], :keys::TEXT[]) AS asked(user_id, idempotency_key)
JOIN jobs AS j ON j.user_id = asked.user_id AND j.idempotency_key = asked.idempotency_key;

-- name: forget_keys
-- Free idempotency keys whose time is over.
UPDATE jobs SET idempotency_key = NULL
WHERE id = ANY(:ids::TEXT[]) AND idempotency_key IS NOT NULL AND created_at <= :before;

-- name: get
-- One job.
SELECT * FROM jobs WHERE id = :id;

-- name: get_all
-- Jobs by their ids.
SELECT * FROM jobs WHERE id = ANY(:ids::TEXT[]);

-- name: list
-- A user's jobs, newest first, after a place.
SELECT * FROM jobs WHERE user_id = :user_id AND (created_at, id) < (:created_at::INT8, :id)
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- name: next_owner
-- The next user who has jobs, in a fixed order.
SELECT min(user_id) AS user_id FROM jobs WHERE user_id > :after;

-- name: look
-- Which of these workers are alive, and which lanes of which kinds hold something to claim.
SELECT w.id AS worker_id, NULL::TEXT AS kind, NULL::INT8 AS lane
FROM workers AS w WHERE w.id = ANY(:worker_ids::TEXT[]) AND w.lease_until > :now
UNION ALL
SELECT NULL::TEXT, head.kind, head.lane
FROM unnest(:kinds::TEXT[], :lanes::INT8[], :places::INT8[]) AS l(kind, lane, place) CROSS JOIN LATERAL (
  SELECT j.kind, j.lane FROM jobs AS j
  WHERE j.state = 'available' AND j.kind = l.kind AND j.lane = l.lane AND j.ord >= l.place
  ORDER BY j.ord, j.id LIMIT 1) AS head;

-- name: claim
-- Take the oldest available jobs of one kind and lane, one for each free slot of these workers. The array
-- keeps the planner from believing in a large share of the table, which it would rather scan; the parameter
-- `available`, from re-checking by way of every available job there is, which statistics of a quiet hour
-- make look like none. Writing `active_user` as it is tells PostgreSQL that its index entry is new: for one that
-- looks the same it would search a full page of the index for versions to delete, in vain, again and again.
-- Returned is what a running job has.
WITH picked AS (
  SELECT id FROM jobs
  WHERE state = 'available' AND kind = :kind AND lane = :lane AND ord >= :place
  ORDER BY ord, id LIMIT :limit FOR UPDATE SKIP LOCKED)
UPDATE jobs AS j SET state = 'running', attempt = j.attempt + 1, started_at = coalesce(j.started_at, :now),
  active_user = j.active_user, worker_id = (:slots::TEXT[])[dealt.slot]
FROM unnest(ARRAY(SELECT picked.id FROM picked)) WITH ORDINALITY AS dealt(id, slot)
WHERE j.id = dealt.id AND j.state = :available
RETURNING j.id, j.user_id, j.kind, j.lane, j.ord, j.payload, j.error, j.attempts, j.attempt, j.failures,
  j.max_failures, j.crashes, j.worker_id, j.cancel_requested, j.created_at, j.started_at, j.retry_of, j.trace;

-- name: held
-- What workers run, as the table has it.
SELECT * FROM jobs WHERE worker_id = ANY(:worker_ids::TEXT[]) AND state = 'running';

-- name: blocked_users
-- Whose jobs are blocked, by kind: one step in the index for each user, however many wait.
WITH RECURSIVE blocked AS (
  (SELECT kind, user_id FROM jobs WHERE state = 'blocked' ORDER BY kind, user_id LIMIT 1)
  UNION ALL
  SELECT following.kind, following.user_id FROM blocked CROSS JOIN LATERAL (
    SELECT j.kind, j.user_id FROM jobs AS j
    WHERE j.state = 'blocked' AND (j.kind, j.user_id) > (blocked.kind, blocked.user_id)
    ORDER BY j.kind, j.user_id LIMIT 1) AS following)
SELECT kind, user_id FROM blocked;

-- name: promote
-- Let these users' oldest blocked jobs, so many at most, into the room that their windows have, which is counted
-- once a user.
-- The LIMIT 1 keeps the planner from reading all blocked jobs to see who has any.
WITH waiting AS MATERIALIZED (
  SELECT u.kind, u.user_id, u.room - (SELECT count(*) FROM (
      SELECT 1 FROM jobs AS j WHERE j.kind = u.kind AND j.active_user = u.user_id LIMIT :most) AS counted) AS room
  FROM unnest(:kinds::TEXT[], :user_ids::TEXT[], :windows::INT8[]) AS u(kind, user_id, room)
  CROSS JOIN LATERAL (SELECT 1 FROM jobs AS j
    WHERE j.state = 'blocked' AND j.kind = u.kind AND j.user_id = u.user_id LIMIT 1) AS one),
let_in AS (
  SELECT next.id FROM waiting CROSS JOIN LATERAL (
    SELECT j.id, j.ord, row_number() OVER (ORDER BY j.lane, j.ord, j.id) AS place FROM jobs AS j
    WHERE j.state = 'blocked' AND j.kind = waiting.kind AND j.user_id = waiting.user_id
    ORDER BY j.lane, j.ord, j.id LIMIT :step) AS next
  WHERE waiting.room > 0 AND next.place <= waiting.room
  ORDER BY next.ord, next.id)
UPDATE jobs AS j SET state = 'available', active_user = j.user_id, ord = :now + dealt.n - 1
FROM unnest(ARRAY(SELECT let_in.id FROM let_in)) WITH ORDINALITY AS dealt(id, n)
WHERE j.id = dealt.id AND j.state = :blocked
RETURNING j.kind, j.user_id;

-- name: admit_due
-- Let scheduled jobs whose time has come wait for room, in the order of that time.
UPDATE jobs SET state = 'blocked', ord = run_at, run_at = NULL
WHERE state = 'scheduled' AND id IN (
  SELECT id FROM jobs WHERE state = 'scheduled' AND run_at <= :now ORDER BY run_at LIMIT :limit)
RETURNING kind, user_id;

-- name: hasten
-- Let a scheduled job wait for room now.
UPDATE jobs SET state = 'blocked', ord = :now, run_at = NULL
WHERE id = :id AND state = 'scheduled' RETURNING id;

-- name: next_due
-- When the next scheduled job is due.
SELECT run_at FROM jobs WHERE state = 'scheduled' ORDER BY run_at LIMIT 1;

-- name: cancel
-- End a job that waits, or ask for one that runs to be stopped.
UPDATE jobs SET cancel_requested = true, run_at = NULL,
  state = CASE WHEN state = 'running' THEN 'running' ELSE 'cancelled' END,
  active_user = CASE WHEN state = 'running' THEN active_user END,
  finished_at = CASE WHEN state = 'running' THEN NULL ELSE :now END
WHERE id = :id AND state IN ('scheduled', 'blocked', 'available', 'running')
RETURNING *;

-- name: record
-- Put the attempts so far on the records of runs.
UPDATE jobs AS j SET attempts = d.attempts
FROM unnest(:ids::TEXT[], :fences::INT8[], :worker_ids::TEXT[], :attempts::TEXT[])
  AS d(id, attempt, worker_id, attempts)
WHERE j.id = d.id AND j.attempt = d.attempt AND j.worker_id = d.worker_id
RETURNING j.id, j.attempt, d.worker_id AS shown_by;

-- name: finish
-- End runs with their results; a row whose fence is not the newest stays as it is. Returned is what may
-- have changed since the claim: a server tries a statement again by itself only while its answer is small.
UPDATE jobs AS j SET state = 'succeeded', active_user = NULL, result = d.result, error = NULL,
  worker_id = NULL, finished_at = :now
FROM unnest(:ids::TEXT[], :fences::INT8[], :worker_ids::TEXT[], :results::TEXT[])
  AS d(id, attempt, worker_id, result)
WHERE j.id = d.id AND j.attempt = d.attempt AND j.worker_id = d.worker_id
RETURNING j.id, j.attempt, j.attempts, j.cancel_requested, j.finished_at, d.worker_id AS shown_by;

-- name: running
-- Runs as their fences name them.
SELECT j.*, d.worker_id AS shown_by, :now AS now
FROM unnest(:ids::TEXT[], :fences::INT8[], :worker_ids::TEXT[]) AS d(id, attempt, worker_id)
JOIN jobs AS j ON j.id = d.id
WHERE j.attempt = d.attempt AND j.worker_id = d.worker_id;

-- name: leave
-- End runs without results, unless they changed since they were read. One that is given back keeps its place in
-- its lane or goes behind those that wait.
UPDATE jobs AS j SET state = d.state, ord = CASE WHEN d.behind THEN :now ELSE j.ord END, active_user = CASE WHEN d.state = 'available' THEN j.user_id END,
  error = d.error, failures = d.failures, crashes = d.crashes, run_at = d.run_at, worker_id = NULL,
  finished_at = CASE WHEN d.state IN ('failed', 'cancelled') THEN :now END
FROM unnest(:ids::TEXT[], :fences::INT8[], :worker_ids::TEXT[], :cancelled::BOOL[], :states::TEXT[],
            :errors::TEXT[], :failures::INT8[], :crashes::TEXT[], :run_ats::INT8[], :behinds::BOOL[])
  AS d(id, attempt, worker_id, cancel_requested, state, error, failures, crashes, run_at, behind)
WHERE j.id = d.id AND j.attempt = d.attempt AND j.worker_id = d.worker_id
  AND j.cancel_requested = d.cancel_requested
RETURNING j.*, d.worker_id AS shown_by;

-- name: abandoned
-- Runs of workers that have no lease.
SELECT j.* FROM jobs AS j
WHERE j.state = 'running' AND NOT EXISTS (SELECT 1 FROM workers AS w WHERE w.id = j.worker_id)
LIMIT :limit;

-- name: register
-- A worker begins, perhaps anew.
INSERT INTO workers (id, lease_until) VALUES (:id, :now + :lease::INT8)
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until;

-- name: beat
-- Workers live on, unless their jobs were given away.
UPDATE workers AS w SET lease_until = :now + d.lease
FROM unnest(:ids::TEXT[], :leases::INT8[]) AS d(id, lease) WHERE w.id = d.id
RETURNING w.id;

-- name: bury
-- Forget workers whose lease ran out; from here on they are refused.
DELETE FROM workers WHERE lease_until <= :now;

-- name: retire
-- Forget one worker.
DELETE FROM workers WHERE id = :id;

-- name: unsettled
-- Ended jobs whose end was not yet told everywhere.
SELECT * FROM jobs
WHERE NOT settled AND finished_at IS NOT NULL AND finished_at <= :now - :age::INT8
ORDER BY finished_at LIMIT :limit;

-- name: amend
-- Put what became known after its end on an unsettled job's record.
UPDATE jobs SET attempts = :attempts WHERE id = :id AND finished_at IS NOT NULL AND NOT settled;

-- name: settle
-- Note that the ends of jobs were told and their leftovers are gone.
UPDATE jobs SET settled = true WHERE id = ANY(:ids::TEXT[]) AND finished_at IS NOT NULL AND NOT settled;

-- name: prune
-- Forget old settled jobs.
DELETE FROM jobs WHERE settled AND id IN (
  SELECT id FROM jobs WHERE settled AND finished_at <= :now - :age::INT8 ORDER BY finished_at LIMIT :limit)
RETURNING id;

-- name: forget
-- Forget settled jobs of a user.
DELETE FROM jobs WHERE settled AND id IN (
  SELECT id FROM jobs WHERE user_id = :user_id AND settled LIMIT :limit)
RETURNING id;

-- name: depth
-- How many jobs wait or run, by kind and state, and how long the oldest has been available.
SELECT kind, 'scheduled' AS state, count(*) AS jobs, NULL::INT8 AS wait
FROM jobs WHERE state = 'scheduled' GROUP BY kind
UNION ALL
SELECT kind, 'blocked', count(*), NULL FROM jobs WHERE state = 'blocked' GROUP BY kind
UNION ALL
SELECT kind, 'available', count(*), :now - min(ord) FROM jobs WHERE state = 'available' GROUP BY kind
UNION ALL
SELECT kind, 'running', count(*), NULL FROM jobs WHERE state = 'running' GROUP BY kind;
