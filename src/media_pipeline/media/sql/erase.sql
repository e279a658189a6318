-- name: words
-- Forget some of the words by which a user's items are found.
DELETE FROM media_words WHERE user_id = :user_id AND word IN (
  SELECT word FROM media_words WHERE user_id = :user_id LIMIT :limit)
RETURNING word;

-- name: index
-- Forget that a user had an index of words.
DELETE FROM media_indexed WHERE user_id IN (
  SELECT user_id FROM media_indexed WHERE user_id = :user_id LIMIT :limit)
RETURNING user_id;

-- name: items
-- Forget some of a user's items.
DELETE FROM media WHERE path IN (SELECT path FROM media WHERE user_id = :user_id LIMIT :limit)
RETURNING path;

-- name: promises
-- Forget what a user's unfinished uploads were promised.
DELETE FROM media_reserved WHERE job_id IN (
  SELECT job_id FROM media_reserved WHERE user_id = :user_id LIMIT :limit)
RETURNING job_id;

-- name: owner
-- Forget that a user had a quota.
DELETE FROM media_owners WHERE user_id IN (
  SELECT user_id FROM media_owners WHERE user_id = :user_id LIMIT :limit)
RETURNING user_id;

-- name: expenses
-- Forget what a user's jobs cost.
DELETE FROM expenses WHERE job_id IN (SELECT job_id FROM expenses WHERE user_id = :user_id LIMIT :limit)
RETURNING job_id;

-- name: requests
-- Forget how often a user asked.
DELETE FROM request_counts WHERE user_id IN (
  SELECT user_id FROM request_counts WHERE user_id = :user_id LIMIT :limit)
RETURNING user_id;
