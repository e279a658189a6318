-- Append one change of state to a user's history and tell whoever listens.
-- Returns 1, or 0 where the history has a change of this key already. One round trip, all or nothing.
local history, keys = KEYS[1], KEYS[2]
local channel, life, dice, kept, age, key, header, frame = unpack(ARGV)

local epoch, number = find_newest(history, keys, life, dice)
number = string.format('%d', number + 1)
if redis.call('ZADD', keys, 'NX', number, key) == 0 then
  return 0
end
redis.call('ZREMRANGEBYRANK', keys, 0, -1 - kept)
redis.call('XADD', history, 'MAXLEN', '=', kept, epoch .. '-' .. number, 'h', header, 'f', frame)
redis.call('PEXPIRE', history, age)
redis.call('PEXPIRE', keys, age)
redis.call('PUBLISH', channel, header .. '\nid: ' .. epoch .. ':' .. number .. '\n' .. frame)
return 1
