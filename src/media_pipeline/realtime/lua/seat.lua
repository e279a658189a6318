-- Note how many streams of a user a process has, where those of all processes stay within a limit.
-- Returns 1, or 0 where they would not. A process without a sign of life counts for nothing; those keys are named
-- after the processes found here, so they are not among KEYS (no node of a cluster could hold them all).
local seats = KEYS[1]
local me, wanted, limit, lives, age = unpack(ARGV)

local taken, found = tonumber(wanted), redis.call('HGETALL', seats)
for place = 1, #found, 2 do
  local process, count = found[place], found[place + 1]
  if process ~= me then
    if redis.call('EXISTS', lives .. process) == 1 then
      taken = taken + count
    else
      redis.call('HDEL', seats, process)
    end
  end
end
if taken > tonumber(limit) then
  return 0
end
if tonumber(wanted) == 0 then
  redis.call('HDEL', seats, me)
else
  redis.call('HSET', seats, me, wanted)
  redis.call('PEXPIRE', seats, age)
end
return 1
