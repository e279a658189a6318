-- The library: one row an object that its owner can see. `removing` marks a row whose object is on
-- its way out; `words` is what search reads, folded, a space before each word.
CREATE TABLE IF NOT EXISTS media (
  path TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('image', 'video', 'file')),
  source TEXT NOT NULL CHECK (source IN ('generated', 'upload', 'import', 'process')),
  name TEXT NOT NULL,
  alt TEXT,
  content_type TEXT NOT NULL,
  size INT8 NOT NULL,
  version TEXT NOT NULL,
  width INT8,
  height INT8,
  duration FLOAT8,
  thumbnail_path TEXT,
  prompt TEXT,
  model TEXT,
  seed INT8,
  words TEXT NOT NULL,
  removing INT8 NOT NULL DEFAULT 0,
  created_at INT8 NOT NULL
)
