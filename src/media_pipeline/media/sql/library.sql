-- name: get
-- One item of a user.
SELECT * FROM media WHERE path = :path AND user_id = :user_id AND removing = 0;

-- name: mark_removing
-- Take an item out of sight, for good.
UPDATE media SET removing = 1 WHERE path = :path AND user_id = :user_id AND removing = 0 RETURNING *;

-- name: removing
-- Items whose objects may still be there.
SELECT * FROM media WHERE removing = 1;

-- name: rename
-- Give an item another name or description.
UPDATE media SET name = :name, alt = :alt, words = :words
WHERE path = :path AND user_id = :user_id AND removing = 0;

-- name: kept_paths
-- Every object that a user's rows stand for, also rows on their way out.
SELECT path, job_id, removing FROM media WHERE user_id = :user_id;

-- name: forget
-- Forget an item whose object is gone.
DELETE FROM media WHERE path = :path AND removing = 1;

-- name: indexed
-- Whether a user has an index of words, and since when it is whole.
SELECT ready_at FROM media_indexed WHERE user_id = :user_id;

-- name: count_items
-- How many items a user has, up to a number.
SELECT count(*) AS items FROM (
  SELECT 1 AS one FROM media WHERE user_id = :user_id AND removing = 0 LIMIT :most
) AS counted;
