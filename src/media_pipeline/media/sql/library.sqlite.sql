-- name: newest
-- A user's items, newest first, after a place.
SELECT *, created_at AS place FROM media INDEXED BY media_newest
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) < (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND (:source IS NULL OR source = :source)
  AND instr(words, :first)
  AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest
-- A user's items, oldest first, after a place.
SELECT *, created_at AS place FROM media INDEXED BY media_newest
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) > (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND (:source IS NULL OR source = :source)
  AND instr(words, :first)
  AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
ORDER BY created_at, path LIMIT :limit;

-- name: largest
-- A user's items, largest first, after a place.
SELECT *, size AS place FROM media INDEXED BY media_largest
WHERE user_id = :user_id AND removing = 0 AND (size, path) < (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND (:source IS NULL OR source = :source)
  AND instr(words, :first)
  AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
ORDER BY size DESC, path DESC LIMIT :limit;

-- name: newest_found
-- The same of a few items, which are sorted by their places alone.
SELECT *, created_at AS place FROM media WHERE rowid IN (
  SELECT rowid FROM media
  WHERE path IN (SELECT value FROM json_each(:paths))
    AND +user_id = :user_id AND removing = 0 AND (created_at, path) < (:place, :path)
    AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
    AND (:source IS NULL OR source = :source)
    AND instr(words, :first)
    AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
  ORDER BY created_at DESC, path DESC LIMIT :limit
)
ORDER BY created_at DESC, path DESC;

-- name: oldest_found
-- The same of a few items.
SELECT *, created_at AS place FROM media WHERE rowid IN (
  SELECT rowid FROM media
  WHERE path IN (SELECT value FROM json_each(:paths))
    AND +user_id = :user_id AND removing = 0 AND (created_at, path) > (:place, :path)
    AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
    AND (:source IS NULL OR source = :source)
    AND instr(words, :first)
    AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
  ORDER BY created_at, path LIMIT :limit
)
ORDER BY created_at, path;

-- name: largest_found
-- The same of a few items.
SELECT *, size AS place FROM media WHERE rowid IN (
  SELECT rowid FROM media
  WHERE path IN (SELECT value FROM json_each(:paths))
    AND +user_id = :user_id AND removing = 0 AND (size, path) < (:place, :path)
    AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
    AND (:source IS NULL OR source = :source)
    AND instr(words, :first)
    AND NOT EXISTS (SELECT 1 FROM json_each(:others) WHERE NOT instr(media.words, value))
  ORDER BY size DESC, path DESC LIMIT :limit
)
ORDER BY size DESC, path DESC;

-- name: standing
-- Which of some paths have a row.
SELECT path FROM media WHERE path IN (SELECT value FROM json_each(:paths));

-- name: insert
-- Put an item into the library.
INSERT INTO media (path, user_id, job_id, kind, source, name, alt, content_type, size, version, width,
                   height, duration, thumbnail_path, thumbnails, thumbhash, source_path, prompt, model,
                   seed, words, created_at)
VALUES (:path, :user_id, :job_id, :kind, :source, :name, :alt, :content_type, :size, :version, :width, :height,
        :duration, :thumbnail_path, :thumbnails, :thumbhash, :source_path, :prompt, :model, :seed, :words,
        :created_at);

-- name: insert_words
-- Let the index of words find an item that is there, if its user has one, which is asked first: CROSS JOIN keeps the
-- order. Words hold no quotes.
INSERT OR IGNORE INTO media_words (user_id, word, path)
SELECT media.user_id, CAST(value AS BLOB), media.path
FROM media_indexed AS owner CROSS JOIN media
CROSS JOIN json_each('["' || replace(substr(words || ' =' || kind || ' =' || source, 2), ' ', '","') || '"]')
WHERE owner.user_id = :user_id AND media.path = :path AND media.user_id = owner.user_id AND removing = 0;

-- name: count_matches
-- How many items have a word beginning so, up to a number.
SELECT count(*) AS matches FROM (
  SELECT 1 AS one FROM media_words
  WHERE user_id = :user_id AND word >= :word AND word < :beyond LIMIT :most
) AS found;

-- name: matches
-- The items that have a word beginning so, as what looks them up reads them.
SELECT json_group_array(DISTINCT path) AS paths FROM media_words
WHERE user_id = :user_id AND word >= :word AND word < :beyond;

-- name: matches_of_both
-- The items that have a word beginning so and one beginning otherwise; NULL if there are so many.
SELECT CASE WHEN count(*) < :most THEN json_group_array(path) END AS paths FROM (
  SELECT path FROM media_words
  WHERE user_id = :user_id AND word >= :word AND word < :beyond
  INTERSECT
  SELECT path FROM media_words
  WHERE user_id = :user_id AND word >= :other AND word < :beyond_other
  LIMIT :most
) AS both_words;

-- name: forget_words
-- Let the index of words find an item no more; its row tells which they are.
DELETE FROM media_words
WHERE user_id = :user_id AND path = :path AND word IN (
  SELECT CAST(value AS BLOB)
  FROM media, json_each('["' || replace(substr(words || ' =' || kind || ' =' || source, 2), ' ', '","') || '"]')
  WHERE media.path = :path);

-- name: begin_index
-- From now on keep the words of a user's new items.
INSERT INTO media_indexed (user_id, began) VALUES (:user_id, strftime('%s', 'now') * 1000000)
ON CONFLICT (user_id) DO NOTHING;

-- name: index_due
-- A user whose earlier items can be put into the index now: whoever did not know of it has ended.
SELECT user_id FROM media_indexed WHERE ready_at IS NULL AND began <= strftime('%s', 'now') * 1000000 - :age
ORDER BY began LIMIT 1;

-- name: finish_index
-- Note that a user's index of words is whole.
UPDATE media_indexed SET ready_at = strftime('%s', 'now') * 1000000 WHERE user_id = :user_id AND ready_at IS NULL;
