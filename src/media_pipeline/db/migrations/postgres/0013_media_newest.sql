CREATE INDEX IF NOT EXISTS media_newest ON media (user_id, created_at, path) WHERE removing = 0
