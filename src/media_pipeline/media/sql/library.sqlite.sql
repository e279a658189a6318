-- name: insert
-- Put an item into the library.
INSERT INTO media (path, user_id, job_id, kind, source, name, alt, content_type, size, version, width,
                   height, duration, thumbnail_path, prompt, model, seed, words, created_at)
VALUES (:path, :user_id, :job_id, :kind, :source, :name, :alt, :content_type, :size, :version, :width,
        :height, :duration, :thumbnail_path, :prompt, :model, :seed, :words, :created_at);

-- name: get
-- One item of a user.
SELECT * FROM media WHERE path = :path AND user_id = :user_id AND removing = 0;

-- name: newest
-- A user's items, newest first, after a place.
SELECT *, created_at AS place FROM media INDEXED BY media_newest
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) < (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE media.words NOT LIKE '% ' || value || '%')
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest
-- A user's items, oldest first, after a place.
SELECT *, created_at AS place FROM media INDEXED BY media_newest
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) > (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE media.words NOT LIKE '% ' || value || '%')
ORDER BY created_at, path LIMIT :limit;

-- name: largest
-- A user's items, largest first, after a place.
SELECT *, size AS place FROM media INDEXED BY media_largest
WHERE user_id = :user_id AND removing = 0 AND (size, path) < (:place, :path)
  AND path >= :low AND path < :high AND (:kind IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE media.words NOT LIKE '% ' || value || '%')
ORDER BY size DESC, path DESC LIMIT :limit;

-- name: mark_removing
-- Take an item out of sight, for good.
UPDATE media SET removing = 1 WHERE path = :path AND user_id = :user_id AND removing = 0 RETURNING *;

-- name: removing
-- Items whose objects may still be there.
SELECT * FROM media INDEXED BY media_removing WHERE removing = 1;

-- name: forget
-- Forget an item whose object is gone.
DELETE FROM media WHERE path = :path AND removing = 1;
