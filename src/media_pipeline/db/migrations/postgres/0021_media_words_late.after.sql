-- Items that the earlier release added after the tables were made.
INSERT INTO media_words (user_id, word, path)
SELECT DISTINCT user_id, convert_to(asked.word, 'UTF8'), path
FROM media CROSS JOIN unnest(string_to_array(substr(words || ' =' || kind || ' =' || source, 2), ' ')) AS asked(word)
WHERE removing = 0
ON CONFLICT DO NOTHING
