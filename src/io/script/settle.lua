-- The end of a flight, or its renewal. See flow/flight.h and lead.lua.
--
-- KEYS[1]  the flight's hash
-- KEYS[2]  the cache entry
-- ARGV     token of the caller, op, then
--          stored  value, life_ms   the answer is stored, the lock freed
--          failed  failure          those that follow this leader are told
--          dropped                  the lock is freed, nobody is told: the next one leads
--          renew   lock_ms          the lock holds longer
-- returns  1 while the caller led, 0 when its lock had lapsed and another leads;
--          renew: 2 when somebody waits for this flight (asked within the last second)

local token, op = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local f = redis.call('HMGET', KEYS[1], 'token', 'waiting')
local leads = f[1] == token

if op == 'stored' then
	redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
elseif op == 'renew' and leads then
	redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[3])))
	redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]) * 4)
	if f[2] and now - tonumber(f[2]) < 1000 then
		return 2
	end
	return 1
end
if leads and op ~= 'renew' then
	redis.call('HDEL', KEYS[1], 'token', 'until', 'waiting')
	if op == 'failed' then
		redis.call('HSET', KEYS[1], 'failed', token, 'failure', ARGV[3])
		redis.call('PEXPIRE', KEYS[1], 5000)
	end
end
return leads and 1 or 0
