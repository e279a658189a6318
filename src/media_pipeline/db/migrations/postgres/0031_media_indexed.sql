-- One row a user whose library has an index of words: new items are in it since `began`, all since `ready_at`.
CREATE TABLE IF NOT EXISTS media_indexed (
  user_id TEXT NOT NULL PRIMARY KEY,
  began INT8 NOT NULL,
  ready_at INT8
)
