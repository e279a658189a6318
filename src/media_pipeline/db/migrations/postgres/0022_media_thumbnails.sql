-- The ladder of thumbnails as JSON, the largest first.
ALTER TABLE media ADD COLUMN IF NOT EXISTS thumbnails TEXT NOT NULL DEFAULT '[]'
