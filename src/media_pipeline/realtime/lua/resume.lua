-- Read what followed a position of a user's history.
-- Returns the epoch, the newest number and, where the position's every follower is kept, those entries.
local history, keys = KEYS[1], KEYS[2]
local life, dice, age, since_epoch, since_number = unpack(ARGV)

local epoch, number, begins = find_newest(history, keys, life, dice)
if begins then
  -- A first entry that is never told, so that an empty history has a place to come back to.
  redis.call('XADD', history, epoch .. '-0', 'h', '')
end
redis.call('PEXPIRE', history, age)
redis.call('PEXPIRE', keys, age)

if since_epoch ~= epoch or tonumber(since_number) > tonumber(number) then
  return {epoch, number}
end
local entries = redis.call('XRANGE', history, '(' .. epoch .. '-' .. since_number, '+')
if #entries ~= number - since_number then
  return {epoch, number}
end
return {epoch, number, entries}
