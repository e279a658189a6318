-- One row a user with a quota: who changes what is reserved holds it.
CREATE TABLE IF NOT EXISTS media_owners (user_id TEXT NOT NULL PRIMARY KEY)
