-- One row a user whose library has an index of words: new items are in it since `began`, all since `ready_at`.
CREATE TABLE media_indexed (
  user_id TEXT NOT NULL PRIMARY KEY,
  began INTEGER NOT NULL,
  ready_at INTEGER
) STRICT, WITHOUT ROWID;

-- Whose index is not whole yet.
CREATE INDEX media_indexed_due ON media_indexed (began) WHERE ready_at IS NULL;

-- Until now every user had an index.
INSERT INTO media_indexed (user_id, began, ready_at)
SELECT DISTINCT user_id, 0, 0 FROM media
