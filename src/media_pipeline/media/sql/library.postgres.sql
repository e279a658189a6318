-- A condition inside `coalesce` is one whose rarity the planner does not guess at: it would guess too
-- low and sort the whole library rather than read its first page in order.

-- name: newest
-- A user's items, newest first, after a place.
SELECT *, created_at AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest
-- A user's items, oldest first, after a place.
SELECT *, created_at AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) > (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at, path LIMIT :limit;

-- name: largest
-- A user's items, largest first, after a place.
SELECT *, size AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (size, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY size DESC, path DESC LIMIT :limit;

-- name: newest_found
-- The same of a few items.
SELECT *, created_at AS place FROM media
WHERE path = ANY (:path_array::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (created_at, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest_found
-- The same of a few items.
SELECT *, created_at AS place FROM media
WHERE path = ANY (:path_array::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (created_at, path) > (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at, path LIMIT :limit;

-- name: largest_found
-- The same of a few items.
SELECT *, size AS place FROM media
WHERE path = ANY (:path_array::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (size, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY size DESC, path DESC LIMIT :limit;

-- name: standing
-- Which of some paths have a row.
SELECT path FROM media WHERE path = ANY (:path_array::TEXT[]);

-- name: insert_words
-- Let search find an item that is there; words come as a JSON array.
INSERT INTO media_words (user_id, word, path)
SELECT :user_id::TEXT, convert_to(asked.word, 'UTF8'), :path::TEXT
FROM jsonb_array_elements_text(:words::JSONB) AS asked(word)
WHERE EXISTS (SELECT 1 FROM media WHERE path = :path::TEXT AND user_id = :user_id::TEXT AND removing = 0)
ON CONFLICT DO NOTHING;

-- name: count_matches
-- How many items have a word beginning so, up to a number.
SELECT count(*) AS matches FROM (
  SELECT 1 AS one FROM media_words
  WHERE user_id = :user_id AND word >= :word::BYTEA AND word < :beyond::BYTEA LIMIT :most
) AS found;

-- name: matches
-- The items that have a word beginning so.
SELECT path FROM media_words
WHERE user_id = :user_id AND word >= :word::BYTEA AND word < :beyond::BYTEA;

-- name: forget_words
-- Let search find an item no more.
DELETE FROM media_words
WHERE user_id = :user_id AND path = :path
  AND word IN (SELECT convert_to(asked.word, 'UTF8') FROM jsonb_array_elements_text(:words::JSONB) AS asked(word));
