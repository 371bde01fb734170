-- What becomes of an item in a worker's hand. See flow/jobs.h.
--
-- KEYS[1]  stream of items, KEYS[2] items put aside, KEYS[3] claim of the batch's id
-- KEYS[4]  count of items that completed after a worker had died over them
-- ARGV     entry, index, op, then
--          finish  "completed" or "failed", the result, keep_ms
--          back    delay_ms, why ("", "llm_quota" or "llm_unavailable"), keep_ms
--          begin, renew   consumer, claim_after_ms
-- returns  finish: 1 this is the item's result; 0 it had one, or its batch is gone
--          back: 1; 0 as finish; -1 it would come back only after its batch's end: nothing done
--          begin, renew: 1; 0 another worker has the item

local call = redis.call
local stream, aside, batch, survivors = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entry, index, op = ARGV[1], ARGV[2], ARGV[3]
local state, running = batch .. ':state', batch .. ':running'
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function digits(number)
	return string.format('%.0f', number)
end

local function settle()
	call('XACK', stream, 'workers', entry)
	call('XDEL', stream, entry)
	call('ZREM', running, index)
end

local function release()
	local first = call('ZPOPMIN', batch .. ':parked')
	if first[1] then
		call('ZREM', aside, first[1] .. ' ' .. batch)
		call('XADD', stream, '*', 'b', batch, 'i', first[1])
	end
end

if op == 'begin' or op == 'renew' then
	local mine = call('XPENDING', stream, 'workers', entry, entry, 1, ARGV[4])
	if not mine[1] then
		return 0
	end
	call('XCLAIM', stream, 'workers', ARGV[4], 0, entry, 'IDLE', 0, 'JUSTID')
	call('ZADD', running, 'XX', digits(now + tonumber(ARGV[5])), index)
	if op == 'begin' and call('EXISTS', state) == 1 then
		call('HSET', state, 'begun' .. index, 1)
	end
	return 1
end

-- Without its request an item has its result: nobody asks for it any more.
local open = call('HEXISTS', batch .. ':items', index) == 1

if op == 'back' and open then
	local s = call('HMGET', state, 'created', 'ttl', 'status')
	local due = now + tonumber(ARGV[4])
	if s[3] ~= 'cancelled' then
		if due >= tonumber(s[1]) + tonumber(s[2]) then
			return -1
		end
		settle()
		call('HDEL', state, 'begun' .. index)
		if ARGV[5] ~= '' then
			call('HSET', state, 'waiting', ARGV[5], 'waiting_until', digits(due))
		end
		call('ZADD', aside, digits(due), index .. ' ' .. batch)
		call('PEXPIRE', aside, ARGV[6])
		release()
		return 1
	end
end
settle()
local kind, result = ARGV[4], ARGV[5]
if op == 'back' then
	kind = 'cancelled'
	result = '{"request_index":' .. index ..
		',"status":"cancelled","response":null,"error":null}'
end
if open then
	call('HSETNX', batch .. ':results', index, result)
	call('PEXPIRE', batch .. ':results', call('PTTL', state))
	call('HDEL', batch .. ':items', index)
	call('HDEL', state, 'base' .. index, 'begun' .. index)
	if call('HDEL', state, 'lost' .. index) == 1 and kind == 'completed' then
		call('INCR', survivors)
		call('PEXPIRE', survivors, ARGV[6])
	end
	call('HINCRBY', state, kind, 1)
	local s = call('HMGET', state, 'total', 'completed', 'failed', 'cancelled', 'status', 'ttl')
	if tonumber(s[1]) == s[2] + s[3] + s[4] then
		call('HSET', state, 'finished', digits(now))
		if s[5] ~= 'cancelled' then
			call('HSET', state, 'status', 'completed')
		end
		for _, key in ipairs({ batch, state, batch .. ':results' }) do
			call('PEXPIRE', key, s[6])
		end
	end
end
release()
return open and op == 'finish' and 1 or 0
