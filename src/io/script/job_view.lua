-- A batch as it stands, in one look; and its cancelling. See flow/jobs.h.
--
-- KEYS[1]  claim of the batch's id, KEYS[2] items put aside
-- ARGV     op: look, or cancel: items that no worker has in hand are over
-- returns  {} no such batch; else {state: name, value, ...}, {result of each item, or nil},
--          {indexes in a worker's hand}, now

local call = redis.call
local batch, aside = KEYS[1], KEYS[2]
local state, results, running = batch .. ':state', batch .. ':results', batch .. ':running'
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function digits(number)
	return string.format('%.0f', number)
end

local total = tonumber(call('HGET', state, 'total') or 0)
if total == 0 then
	return {}
end

local function cancel()
	local s = call('HGET', state, 'status')
	if s ~= 'pending' and s ~= 'processing' then
		return
	end
	call('HSET', state, 'status', 'cancelled')
	call('HDEL', state, 'waiting', 'waiting_until')
	call('ZREMRANGEBYSCORE', running, '-inf', digits(now))
	call('DEL', batch .. ':parked')
	for _, index in ipairs(call('HKEYS', batch .. ':items')) do
		if not call('ZSCORE', running, index) then
			call('HSET', results, index, '{"request_index":' .. index ..
				',"status":"cancelled","response":null,"error":null}')
			call('HDEL', batch .. ':items', index)
			call('HINCRBY', state, 'cancelled', 1)
			call('ZREM', aside, index .. ' ' .. batch)
		end
	end
	call('PEXPIRE', results, call('PTTL', state))
	local c = call('HMGET', state, 'completed', 'failed', 'cancelled', 'ttl')
	if c[1] + c[2] + c[3] == total then
		call('HSET', state, 'finished', digits(now))
		for _, key in ipairs({ batch, state, results }) do
			call('PEXPIRE', key, c[4])
		end
	end
end

if ARGV[1] == 'cancel' then
	cancel()
end
local found = {}
for i = 0, total - 1 do
	found[i + 1] = call('HGET', results, i)
end
return { call('HGETALL', state), found,
	call('ZRANGEBYSCORE', running, digits(now), '+inf'), digits(now) }
