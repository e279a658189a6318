-- Until now every user had an index.
INSERT INTO media_indexed (user_id, began, ready_at)
SELECT DISTINCT user_id, 0, 0 FROM media
ON CONFLICT DO NOTHING
