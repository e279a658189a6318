CREATE INDEX IF NOT EXISTS media_reserved_of ON media_reserved (user_id)
