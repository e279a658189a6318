-- How many requests a user made since `began`, the beginning of a minute.
CREATE TABLE IF NOT EXISTS request_counts (
  user_id TEXT NOT NULL PRIMARY KEY,
  began INT8 NOT NULL,
  taken INT8 NOT NULL
)
