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
WHERE path = ANY (:paths::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (created_at, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest_found
-- The same of a few items.
SELECT *, created_at AS place FROM media
WHERE path = ANY (:paths::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (created_at, path) > (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY created_at, path LIMIT :limit;

-- name: largest_found
-- The same of a few items.
SELECT *, size AS place FROM media
WHERE path = ANY (:paths::TEXT[])
  AND user_id = :user_id AND removing = 0 AND (size, path) < (:place::INT8, :path)
  AND coalesce(substr(path, 1, length(:low::TEXT)) = :low::TEXT AND words LIKE ALL (:patterns::TEXT[]), FALSE)
  AND coalesce(kind = coalesce(:kind::TEXT, kind) AND source = coalesce(:source::TEXT, source), FALSE)
ORDER BY size DESC, path DESC LIMIT :limit;

-- name: standing
-- Which of some paths have a row.
SELECT path FROM media WHERE path = ANY (:path_array::TEXT[]);

-- name: insert rows
-- Put items into the library.
INSERT INTO media (path, user_id, job_id, kind, source, name, alt, content_type, size, version, width,
                   height, duration, thumbnail_path, thumbnails, thumbhash, source_path, prompt, model,
                   seed, words, created_at)
SELECT * FROM unnest(:path::TEXT[], :user_id::TEXT[], :job_id::TEXT[], :kind::TEXT[], :source::TEXT[],
  :name::TEXT[], :alt::TEXT[], :content_type::TEXT[], :size::INT8[], :version::TEXT[], :width::INT8[],
  :height::INT8[], :duration::FLOAT8[], :thumbnail_path::TEXT[], :thumbnails::TEXT[], :thumbhash::TEXT[],
  :source_path::TEXT[], :prompt::TEXT[], :model::TEXT[], :seed::INT8[], :words::TEXT[], :created_at::INT8[]);

-- name: insert_words rows
-- Let search find items that are there; the words of each come as a JSON array. The LIMIT keeps the planner to
-- the key: it would read a user's whole library rather than look a path up.
INSERT INTO media_words (user_id, word, path)
SELECT item.user_id, convert_to(asked.word, 'UTF8'), item.path
FROM unnest(:user_id::TEXT[], :path::TEXT[], :words::TEXT[]) AS item(user_id, path, words)
CROSS JOIN LATERAL (SELECT m.user_id, m.removing FROM media AS m WHERE m.path = item.path LIMIT 1) AS it
CROSS JOIN LATERAL jsonb_array_elements_text(item.words::JSONB) AS asked(word)
WHERE it.user_id = item.user_id AND it.removing = 0
ON CONFLICT DO NOTHING;

-- name: count_matches
-- How many items have a word beginning so, up to a number.
SELECT count(*) AS matches FROM (
  SELECT 1 AS one FROM media_words
  WHERE user_id = :user_id AND word >= :word::BYTEA AND word < :beyond::BYTEA LIMIT :most
) AS found;

-- name: matches
-- The items that have a word beginning so, as what looks them up reads them.
SELECT coalesce(array_agg(DISTINCT path)::TEXT, '{}') AS paths FROM media_words
WHERE user_id = :user_id AND word >= :word::BYTEA AND word < :beyond::BYTEA;

-- name: matches_of_both
-- The items that have a word beginning so and one beginning otherwise; NULL if there are so many.
SELECT CASE WHEN count(*) < :most::INT8 THEN coalesce(array_agg(path)::TEXT, '{}') END AS paths FROM (
  SELECT path FROM media_words
  WHERE user_id = :user_id AND word >= :word::BYTEA AND word < :beyond::BYTEA
  INTERSECT
  SELECT path FROM media_words
  WHERE user_id = :user_id AND word >= :other::BYTEA AND word < :beyond_other::BYTEA
  LIMIT :most
) AS both_words;

-- name: forget_words
-- Let search find an item no more.
DELETE FROM media_words
WHERE user_id = :user_id AND path = :path
  AND word IN (SELECT convert_to(asked.word, 'UTF8') FROM jsonb_array_elements_text(:words::JSONB) AS asked(word));
