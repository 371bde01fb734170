-- Admission: takes cost from every bucket of a key, or from none. See gate/limit.h.
--
-- KEYS[1]  buckets of one key id, packed: per policy its name (its length, a byte, and the text),
--          tat and rest (doubles, little-endian)
-- ARGV     cost, take_count, then name, quota, window_ms per policy;
--          back_cost, back_count, then the same of the buckets that get back_cost when refused
-- returns  passed (1, 0), then per policy of take: left, reset_ms, retry_ms (-1: cost is larger
--          than the bucket)
--
-- A bucket is its theoretical arrival time (GCRA): when it will be full again, if nothing more
-- is taken. One request moves it by window/quota, which is rarely whole: rest counts the
-- fraction in quota-ths of a microsecond, so that exactly quota requests fit into a window.
-- Numbers are doubles, exact below 2^53; gate/limit.c does the same steps with the same type.
--
-- Every request runs this: hence one value for all buckets, and numbers that are never text.

local call, floor, pack, unpack_ = redis.call, math.floor, struct.pack, struct.unpack
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

local tats, rests = {}, {}
local function load(stored)
	local at, size, name, tat, rest = 1, #stored, nil, nil, nil
	while at <= size do
		name, tat, rest, at = unpack_('<Bc0dd', stored, at)
		tats[name], rests[name] = tat, rest
	end
end
local stored = call('GET', KEYS[1])
if stored and not pcall(load, stored) then
	tats, rests = {}, {}	-- not ours: it is written anew
end

-- The bucket as it is now: never before now (it cannot be fuller than full), never more than
-- a window after it (a shorter window, or a clock set back, must not lock the key out: then
-- it is written again even if nothing is taken, or the wait would never end).
local function read(name, quota, window)
	local tat, rest = tats[name] or 0, rests[name]
	if tat < now then
		return now, 0
	elseif tat >= now + window then
		return now + window, 0, tat > now + window
	end
	return tat, rest < quota and rest or 0
end

-- Where a bucket stands after n more requests; n < 0 gives back.
local function moved(tat, rest, n, quota, window)
	local parts = n * window + rest
	local whole = floor(parts / quota)
	return tat + whole, parts - whole * quota
end

local cost, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local passed, changed = count > 0, false	-- nothing to take: only gives back
local state = {}	-- per policy: tat, rest, beyond before; tat, rest after; wait; numbers
for i = 1, count do
	local quota, window = tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2] * 1000
	local tat, rest, beyond = read(ARGV[3 * i], quota, window)
	local new_tat, new_rest = moved(tat, rest, cost, quota, window)
	local wait = (new_rest > 0 and new_tat + 1 or new_tat) - (now + window)
	state[i] = { tat, rest, beyond, new_tat, new_rest, wait, quota, window }
	if wait > 0 then
		passed = false
	end
end

local answer = { passed and 1 or 0 }
for i = 1, count do
	local s, name = state[i], ARGV[3 * i]
	local tat, rest, wait, quota, window = s[1], s[2], s[6], s[7], s[8]
	if passed then
		tat, rest = s[4], s[5]
	end
	if passed and cost > 0 or not passed and s[3] then
		tats[name], rests[name], changed = tat, rest, true
	end
	answer[3 * i - 1] = floor(((now + window - tat) * quota - rest) / window)
	answer[3 * i] = floor(((rest > 0 and tat + 1 or tat) - now + 999) / 1000)
	answer[3 * i + 1] = wait <= 0 and 0
		or cost > quota and -1 or floor((wait + 999) / 1000)
end

local at = 3 + 3 * count
if not passed and tonumber(ARGV[at]) > 0 then
	for i = at + 2, #ARGV, 3 do
		local name, quota, window = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2] * 1000
		if tats[name] then
			local tat, rest = read(name, quota, window)
			tat, rest = moved(tat, rest, -ARGV[at], quota, window)
			if tat < now then
				tat, rest = now, 0
			end
			tats[name], rests[name], changed = tat, rest, true
		end
	end
end

-- It lapses when its last bucket is full: then it says no more than nothing.
if changed then
	local last, packed = now, ''
	for name, tat in pairs(tats) do
		if tat > last then
			last = tat
		end
		packed = packed .. pack('<Bc0dd', #name, name, tat, rests[name])
	end
	call('SET', KEYS[1], packed, 'PX', floor((last - now) / 1000) + 1)
end
return answer
