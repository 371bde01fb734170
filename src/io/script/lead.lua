-- Coalescing: who asks the LLM for one cache entry, and what the others wait for.
-- See flow/flight.h. The flight is one hash beside the entry, in the same slot:
--   token, until      the leader and when its lock lapses unless renewed (ms)
--   waiting           when a follower last asked (ms): the leader may not drop the call
--   failed, failure   a leader that failed, and how, for those that followed it
--
-- KEYS[1]  the flight's hash
-- KEYS[2]  the cache entry
-- ARGV     token of the caller, lock_ms, token of the leader it follows ("" for none)
-- returns  {"entry", value}: a fresh answer is stored
--          {"failed", failure}: the leader the caller follows has failed
--          {"lead"}: the caller leads now
--          {"follow", token of the leader}

local token, lock_ms, followed = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local entry = redis.call('GET', KEYS[2])
if entry then
	local fresh = string.match(entry, '^tm1 %d+ (%d+) ')
	if fresh and tonumber(fresh) > now then
		return { 'entry', entry }
	end
end

local f = redis.call('HMGET', KEYS[1], 'token', 'until', 'failed', 'failure')
if followed ~= '' and f[3] == followed then
	return { 'failed', f[4] or '' }
end
if f[1] and f[1] ~= token and tonumber(f[2]) > now then
	redis.call('HSET', KEYS[1], 'waiting', string.format('%.0f', now))
	return { 'follow', f[1] }
end
redis.call('HSET', KEYS[1], 'token', token, 'until', string.format('%.0f', now + lock_ms))
redis.call('HDEL', KEYS[1], 'waiting')
redis.call('PEXPIRE', KEYS[1], lock_ms * 4)
return { 'lead' }
