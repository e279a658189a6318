-- The item that this one was made of.
ALTER TABLE media ADD COLUMN IF NOT EXISTS source_path TEXT
