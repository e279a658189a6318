-- The ladder of thumbnails as JSON, the largest first; the placeholder; and what an item was made of.
ALTER TABLE media ADD COLUMN thumbnails TEXT NOT NULL DEFAULT '[]';

ALTER TABLE media ADD COLUMN thumbhash TEXT;

ALTER TABLE media ADD COLUMN source_path TEXT
