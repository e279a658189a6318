-- The library: one row an object that its owner can see. `removing` marks a row whose object is on
-- its way out; `words` is what search reads, folded, a space before each word.
CREATE TABLE media (
  path TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('image', 'video', 'file')),
  source TEXT NOT NULL CHECK (source IN ('generated', 'upload', 'import', 'process')),
  name TEXT NOT NULL,
  alt TEXT,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  version TEXT NOT NULL,
  width INTEGER,
  height INTEGER,
  duration REAL,
  thumbnail_path TEXT,
  prompt TEXT,
  model TEXT,
  seed INTEGER,
  words TEXT NOT NULL,
  removing INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX media_newest ON media (user_id, created_at, path) WHERE removing = 0;

CREATE INDEX media_largest ON media (user_id, size, path) WHERE removing = 0;

CREATE INDEX media_removing ON media (path) WHERE removing = 1
