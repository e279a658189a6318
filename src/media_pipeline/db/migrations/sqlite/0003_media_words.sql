-- Which items have which word: what a search for rare words begins with. Words are bytes, so that
-- a word's beginning is a range on every database.
CREATE TABLE media_words (
  user_id TEXT NOT NULL,
  word BLOB NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (user_id, word, path)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO media_words (user_id, word, path)
SELECT media.user_id, CAST(value AS BLOB), media.path
FROM media, json_each('["' || replace(substr(words || ' =' || kind || ' =' || source, 2), ' ', '","') || '"]');

-- What users' unfinished uploads have been promised of their quota.
CREATE TABLE media_reserved (
  job_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX media_reserved_of ON media_reserved (user_id);

-- One row a user with a quota: who changes what is reserved holds it.
CREATE TABLE media_owners (user_id TEXT NOT NULL PRIMARY KEY) STRICT
