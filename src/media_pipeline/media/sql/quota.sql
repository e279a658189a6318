-- name: hold_owner
-- Be the only one who changes what this user's uploads are promised.
INSERT INTO media_owners (user_id) VALUES (:user_id)
ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id;

-- name: reserve
-- Promise an upload its bytes, or change the promise, if the quota has room for them.
INSERT INTO media_reserved (job_id, user_id, bytes, expires_at)
SELECT CAST(:job_id AS TEXT), CAST(:user_id AS TEXT), CAST(:bytes AS BIGINT), CAST(:expires_at AS BIGINT)
WHERE (SELECT coalesce(sum(size), 0) FROM media WHERE user_id = :user_id AND removing = 0)
    + (SELECT coalesce(sum(bytes), 0) FROM media_reserved
       WHERE user_id = :user_id AND job_id <> :job_id AND expires_at > :moment)
    <= CAST(:max_bytes AS BIGINT) - CAST(:bytes AS BIGINT)
  AND (SELECT count(*) FROM media WHERE user_id = :user_id AND removing = 0)
    + (SELECT count(*) FROM media_reserved
       WHERE user_id = :user_id AND job_id <> :job_id AND expires_at > :moment)
    < CAST(:max_objects AS BIGINT)
ON CONFLICT (job_id) DO UPDATE SET bytes = excluded.bytes, expires_at = excluded.expires_at;

-- name: promised
-- Whether an upload is promised just so many bytes.
SELECT 1 AS promised FROM media_reserved WHERE job_id = :job_id AND bytes = :bytes AND expires_at > :moment;

-- name: release
-- Take a promise back, or settle it.
DELETE FROM media_reserved WHERE job_id = :job_id;

-- name: kept
-- How much a user's items are.
SELECT CAST(coalesce(sum(size), 0) AS BIGINT) AS bytes, count(*) AS objects
FROM media WHERE user_id = :user_id AND removing = 0;

-- name: reserved
-- What a user's unfinished uploads are promised.
SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes, count(*) AS objects
FROM media_reserved WHERE user_id = :user_id AND expires_at > :moment;

-- name: expire
-- Forget promises whose time is over.
DELETE FROM media_reserved WHERE expires_at <= :moment;
