-- Which items have which word: what a search for rare words begins with. Words are bytes, so that
-- a word's beginning is a range whatever the database's collation.
CREATE TABLE IF NOT EXISTS media_words (
  user_id TEXT NOT NULL,
  word BYTEA NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (user_id, word, path)
)
