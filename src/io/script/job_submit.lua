-- Accepts a batch for the job workers: all of it, or nothing. See flow/jobs.h, which also tells
-- what each key holds.
--
-- KEYS[1]  claim of the batch's id; its other keys are this one and a suffix
-- KEYS[2]  stream of items, KEYS[3] items put aside, KEYS[4] index of batches
-- ARGV     ttl_ms, max_pending (items that may wait in all), items_count, fields_count, then a name
--          and a value per field of the batch's state, then two per item: "ask" and the request,
--          or "failed" and the result of one that is not valid
-- returns  1 accepted; 2 accepted before, of one with the same token among its fields: this is a
--          repeat; 0 the id is taken; -1 too much is waiting

local call = redis.call
local ttl, most, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local batch = KEYS[1]
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function digits(number)
	return string.format('%.0f', number)
end

local state, items, results = batch .. ':state', batch .. ':items', batch .. ':results'
local at = 5 + 2 * tonumber(ARGV[4])
local token
for i = 5, at - 1, 2 do
	if ARGV[i] == 'token' then
		token = ARGV[i + 1]
	end
end
if call('EXISTS', batch) == 1 then
	return call('HGET', state, 'token') == token and 2 or 0
end
if call('XLEN', KEYS[2]) + call('ZCARD', KEYS[3]) + count > most then
	return -1
end

for i = 5, at - 1, 2 do
	call('HSET', state, ARGV[i], ARGV[i + 1])
end
redis.pcall('XGROUP', 'CREATE', KEYS[2], 'workers', '0', 'MKSTREAM')
local failed = 0
for i = 0, count - 1 do
	local kind, text = ARGV[at + 2 * i], ARGV[at + 2 * i + 1]
	if kind == 'ask' then
		call('HSET', items, i, text)
		call('XADD', KEYS[2], '*', 'b', batch, 'i', i)
	else
		call('HSET', results, i, text)
		failed = failed + 1
	end
end
call('HSET', state, 'status', failed == count and 'completed' or 'pending', 'total', count,
	'completed', 0, 'failed', failed, 'cancelled', 0, 'created', digits(now), 'ttl', ARGV[1])
if failed == count then
	call('HSET', state, 'finished', digits(now))
end
call('SET', batch, 'job', 'PX', ttl)
for _, key in ipairs({ state, items, results }) do
	call('PEXPIRE', key, ttl)
end
call('ZADD', KEYS[4], now, batch)
call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - 2 * ttl)
-- Nothing that lies here outlives its batch by more than that.
call('PEXPIRE', KEYS[2], 2 * ttl)
call('PEXPIRE', KEYS[4], 2 * ttl)
return 1
