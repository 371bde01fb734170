-- One item for a job worker: first what a dead worker has left behind, then the oldest new one.
-- See flow/jobs.h.
--
-- KEYS[1]  stream of items, KEYS[2] items put aside, by the time they are due,
--          KEYS[3] count of items that completed after a worker had died over them
-- ARGV     consumer (the worker's name), claim_after_ms, deliveries_max, keep_ms, tidy (1: forget
--          workers that are long gone)
-- returns  {"none"}, or {"run" or "poison", entry, batch, index, deaths, request,
--          the batch's state: name, value, ...}

local call, pcall_ = redis.call, redis.pcall
local stream, aside, survivors, consumer = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local claim_after, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local LOOKS, GONE_MS, PATIENCE = 100, 600000, 10
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local touched = false
local function digits(number)
	return string.format('%.0f', number)
end

local function add(batch, index)
	call('XADD', stream, '*', 'b', batch, 'i', index)
	touched = true
end

local function settle(entry)
	call('XACK', stream, 'workers', entry)
	call('XDEL', stream, entry)
	touched = true
end

local function put_aside(batch, index, due)
	call('ZADD', aside, digits(due), index .. ' ' .. batch)
	touched = true
end

-- One place of the batch is free: the first item that waits for one goes on.
local function release(batch)
	local first = call('ZPOPMIN', batch .. ':parked')
	if first[1] then
		call('ZREM', aside, first[1] .. ' ' .. batch)
		add(batch, first[1])
	end
end

-- A worker that had begun this item has died. One that had not, which never heard that the item
-- is its own, is no matter.
local function count_loss(batch, index)
	if call('HDEL', batch .. ':state', 'begun' .. index) == 1 then
		call('HINCRBY', batch .. ':state', 'lost' .. index, 1)
	end
end

-- How often workers have died over an item, and whether that is enough to call it poison. Where
-- other items that were lost likewise have completed meanwhile, workers die of something else, and
-- each of those takes one death off this one.
local function judge(batch, index)
	local l = call('HMGET', batch .. ':state', 'lost' .. index, 'base' .. index)
	local lost = tonumber(l[1] or 0)
	local excused = tonumber(call('GET', survivors) or 0) - tonumber(l[2] or 0)
	local enough = lost - math.max(excused, 0) >= most or lost >= most * PATIENCE
	return lost, lost > 0 and enough
end

local function wake()
	for _, member in ipairs(call('ZRANGEBYSCORE', aside, '-inf', now, 'LIMIT', 0, LOOKS)) do
		local index, batch = string.match(member, '^(%d+) (.*)$')
		call('ZREM', aside, member)
		call('ZREM', batch .. ':parked', index)
		add(batch, index)
	end
end

-- an entry of a worker that has not been heard of for too long
local function lost()
	local pending = pcall_('XPENDING', stream, 'workers', '-', '+', 1000)
	if pending.err then
		return nil
	end
	for _, p in ipairs(pending) do
		if p[3] >= claim_after then
			local got = call('XCLAIM', stream, 'workers', consumer, claim_after, p[1])
			if got[1] then
				return got[1]
			end
			call('XACK', stream, 'workers', p[1])
		end
	end
	return nil
end

local function new()
	local words = { 'XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', 1, 'STREAMS', stream,
		'>' }
	local got = pcall_(unpack(words))
	if got and got.err then
		if call('EXISTS', stream) == 0 then
			return nil
		end
		call('XGROUP', 'CREATE', stream, 'workers', '0')
		got = call(unpack(words))
	end
	if got and got[1] then
		return got[1][2][1]
	end
	return nil
end

-- Why an item does not run now; nil: it does. The entry is gone then. claimed: from a worker that
-- died.
local function held_back(entry, batch, index, claimed)
	local state = batch .. ':state'
	local s = call('HMGET', state, 'status', 'concurrency', 'waiting_until')
	if not s[1] or call('HEXISTS', batch .. ':items', index) == 0 then
		settle(entry)
		release(batch)
		return 'over'
	end
	if s[2] and tonumber(s[3] or 0) > now then
		settle(entry)
		put_aside(batch, index, tonumber(s[3]))
		return 'waits'
	end
	local deaths, poison = judge(batch, index)
	if claimed and deaths > 1 and not poison then
		settle(entry)
		call('ZREM', batch .. ':running', index)
		put_aside(batch, index, now + (deaths - 1) * claim_after)
		release(batch)
		return 'rests'
	end
	local running = batch .. ':running'
	call('ZREMRANGEBYSCORE', running, '-inf', digits(now))
	if not call('ZSCORE', running, index) and call('ZCARD', running) >= tonumber(s[2]) then
		settle(entry)
		call('ZADD', batch .. ':parked', index, index)
		call('PEXPIRE', batch .. ':parked', call('PTTL', state))
		put_aside(batch, index, now + claim_after)
		return 'parked'
	end
	return nil
end

local function start(batch, index)
	local state = batch .. ':state'
	call('ZADD', batch .. ':running', digits(now + claim_after), index)
	call('PEXPIRE', batch .. ':running', call('PTTL', state))
	call('HSETNX', state, 'base' .. index, call('GET', survivors) or 0)
	if call('HGET', state, 'status') == 'pending' then
		call('HSET', state, 'status', 'processing')
	end
end

local function tidy()
	local all = pcall_('XINFO', 'CONSUMERS', stream, 'workers')
	if all.err then
		return
	end
	for _, c in ipairs(all) do
		local about = {}
		for i = 1, #c, 2 do
			about[c[i]] = c[i + 1]
		end
		if about.pending == 0 and about.idle > GONE_MS then
			call('XGROUP', 'DELCONSUMER', stream, 'workers', about.name)
		end
	end
end

local function take()
	for _ = 1, LOOKS do
		local claimed = lost()
		local entry = claimed or new()
		if not entry then
			return { 'none' }
		end
		touched = true
		local fields = {}
		for i = 1, #entry[2], 2 do
			fields[entry[2][i]] = entry[2][i + 1]
		end
		local batch, index = fields.b, fields.i
		if claimed then
			count_loss(batch, index)
		end
		if not held_back(entry[1], batch, index, claimed) then
			start(batch, index)
			local deaths, poison = judge(batch, index)
			local answer = { poison and 'poison' or 'run', entry[1], batch, index,
				digits(deaths), call('HGET', batch .. ':items', index) }
			for _, word in ipairs(call('HGETALL', batch .. ':state')) do
				answer[#answer + 1] = word
			end
			return answer
		end
	end
	return { 'none' }
end

if ARGV[5] == '1' then
	tidy()
end
wake()
local answer = take()
if touched then
	for _, key in ipairs(KEYS) do
		call('PEXPIRE', key, ARGV[4])
	end
end
return answer
