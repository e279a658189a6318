-- name: take
-- Count one request in its minute; no row where the minute's are used up.
INSERT INTO request_counts (user_id, began, taken) VALUES (:user_id, :now - :now % 60000000, 1)
ON CONFLICT (user_id) DO UPDATE SET
  taken = CASE WHEN request_counts.began = excluded.began THEN request_counts.taken + 1 ELSE 1 END,
  began = excluded.began
WHERE request_counts.began <> excluded.began OR request_counts.taken < CAST(:most AS BIGINT)
RETURNING taken;

-- name: taken
-- How many requests a user made in this minute.
SELECT taken FROM request_counts WHERE user_id = :user_id AND began = :now - :now % 60000000;

-- name: hold_owner
-- Be the only one who changes what this user's jobs are promised.
INSERT INTO media_owners (user_id) VALUES (:user_id)
ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id;

-- name: promise
-- Promise a job what it is expected to cost, if its user's limits have room for it. A job that generates nothing is
-- bound by the number of jobs alone.
INSERT INTO expenses (job_id, user_id, made, items, micros, unfinished)
SELECT CAST(:job_id AS TEXT), CAST(:user_id AS TEXT), :now, CAST(:items AS BIGINT),
  CAST(:micros AS BIGINT), 1
FROM (SELECT
    (SELECT count(*) FROM expenses WHERE user_id = :user_id AND unfinished = 1) AS jobs,
    (SELECT CAST(coalesce(sum(items), 0) AS BIGINT) FROM expenses
     WHERE user_id = :user_id AND made >= :now - :now % 86400000000) AS items,
    (SELECT CAST(coalesce(sum(micros), 0) AS BIGINT) FROM expenses
     WHERE user_id = :user_id AND made >= :now - :now % 86400000000) AS micros) AS used
WHERE used.jobs < CAST(:max_jobs AS BIGINT)
  AND (CAST(:items AS BIGINT) = 0 OR used.items + CAST(:items AS BIGINT) <= CAST(:max_items AS BIGINT)
    AND used.micros < CAST(:max_micros AS BIGINT)
    AND used.micros + CAST(:micros AS BIGINT) <= CAST(:max_micros AS BIGINT))
ON CONFLICT (job_id) DO NOTHING;

-- name: promised
-- Whether a job stands in the books.
SELECT job_id FROM expenses WHERE job_id = :job_id;

-- name: withdraw
-- Take back what a job was promised.
DELETE FROM expenses WHERE job_id = :job_id;

-- name: settle
-- Write down what a job that ended made and cost; without a figure, the expected cost stands.
UPDATE expenses SET unfinished = 0, items = :items, micros = coalesce(CAST(:micros AS BIGINT), micros)
WHERE job_id = :job_id AND unfinished = 1;

-- name: used
-- What a user's jobs of today cost, and how many of all have not ended.
SELECT
  (SELECT count(*) FROM expenses WHERE user_id = :user_id AND unfinished = 1) AS jobs,
  CAST(coalesce(sum(items), 0) AS BIGINT) AS items, CAST(coalesce(sum(micros), 0) AS BIGINT) AS micros
FROM expenses WHERE user_id = :user_id AND made >= :now - :now % 86400000000;

-- name: unfinished
-- The oldest of a user's jobs that the books know as unfinished; younger ones may be about to be enqueued.
SELECT job_id FROM expenses WHERE user_id = :user_id AND unfinished = 1 AND made < :now - 60000000
ORDER BY made LIMIT 20;

-- name: forget
-- Forget what ended before today.
DELETE FROM expenses WHERE unfinished = 0 AND made < :now - :now % 86400000000;
