-- What is shown until a thumbnail is there.
ALTER TABLE media ADD COLUMN IF NOT EXISTS thumbhash TEXT
