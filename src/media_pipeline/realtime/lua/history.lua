-- Goes before every script: find the epoch and the newest number of a user's history.
-- One of another life of the server counts for nothing, as what was told since its last copy may be lost.
-- Returns the epoch, the number and whether the history begins now.
local function find_newest(history, keys, life, dice)
  local newest = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  if newest then
    local epoch, number = string.match(newest[1], '^(%d+)-(%d+)$')
    if string.sub(epoch, 1, #life) == life then
      return epoch, number, false
    end
  end
  redis.call('DEL', history, keys)
  return life .. dice, '0', true
end

