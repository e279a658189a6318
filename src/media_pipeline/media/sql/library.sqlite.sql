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
