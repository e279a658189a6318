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
-- Let the index of words find items that are there, of users who have one: what comes first, for most have none.
-- Each LIMIT keeps the planner to a key: it would read a user's whole library rather than look a path up.
INSERT INTO media_words (user_id, word, path)
SELECT it.user_id, convert_to(asked.word, 'UTF8'), it.path
FROM unnest(:user_id::TEXT[], :path::TEXT[]) AS item(user_id, path)
CROSS JOIN LATERAL (SELECT i.user_id FROM media_indexed AS i WHERE i.user_id = item.user_id LIMIT 1) AS owner
CROSS JOIN LATERAL (
  SELECT m.* FROM media AS m WHERE m.path = item.path AND m.user_id = owner.user_id LIMIT 1) AS it
CROSS JOIN LATERAL unnest(string_to_array(
  substr(it.words || ' =' || it.kind || ' =' || it.source, 2), ' ')) AS asked(word)
WHERE it.removing = 0
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
-- Let the index of words find an item no more; its row tells which they are.
DELETE FROM media_words
WHERE user_id = :user_id AND path = :path AND word IN (
  SELECT convert_to(asked.word, 'UTF8')
  FROM (SELECT m.words || ' =' || m.kind || ' =' || m.source AS words FROM media AS m WHERE m.path = :path) AS it
  CROSS JOIN LATERAL unnest(string_to_array(substr(it.words, 2), ' ')) AS asked(word));

-- name: begin_index
-- From now on keep the words of a user's new items.
INSERT INTO media_indexed (user_id, began) VALUES (:user_id, :now)
ON CONFLICT (user_id) DO NOTHING;

-- name: index_due
-- A user whose earlier items can be put into the index now: whoever did not know of it has ended.
SELECT user_id FROM media_indexed WHERE ready_at IS NULL AND began <= :now - :age
ORDER BY began LIMIT 1;

-- name: finish_index
-- Note that a user's index of words is whole.
UPDATE media_indexed SET ready_at = :now WHERE user_id = :user_id AND ready_at IS NULL;
