-- What a user's jobs cost, by time.
CREATE INDEX IF NOT EXISTS expenses_of_user ON expenses (user_id, made)
