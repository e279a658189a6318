-- name: newest
-- A user's items, newest first, after a place.
SELECT *, created_at AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) < (:place::INT8, :path)
  AND substr(path, 1, length(:low::TEXT)) = :low::TEXT AND (:kind::TEXT IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements_text(:words::JSONB) AS asked(word)
    WHERE media.words NOT LIKE '% ' || word || '%')
ORDER BY created_at DESC, path DESC LIMIT :limit;

-- name: oldest
-- A user's items, oldest first, after a place.
SELECT *, created_at AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (created_at, path) > (:place::INT8, :path)
  AND substr(path, 1, length(:low::TEXT)) = :low::TEXT AND (:kind::TEXT IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements_text(:words::JSONB) AS asked(word)
    WHERE media.words NOT LIKE '% ' || word || '%')
ORDER BY created_at, path LIMIT :limit;

-- name: largest
-- A user's items, largest first, after a place.
SELECT *, size AS place FROM media
WHERE user_id = :user_id AND removing = 0 AND (size, path) < (:place::INT8, :path)
  AND substr(path, 1, length(:low::TEXT)) = :low::TEXT AND (:kind::TEXT IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements_text(:words::JSONB) AS asked(word)
    WHERE media.words NOT LIKE '% ' || word || '%')
ORDER BY size DESC, path DESC LIMIT :limit;
