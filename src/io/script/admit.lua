-- Admission: takes cost from every bucket of a key, or from none. See gate/limit.h.
--
-- KEYS[1]  hash of one key id: field = policy's name, value = "<tat> <rest>", tat in 16 digits
-- ARGV     cost, take_count, then name, quota, window_ms per policy;
--          back_cost, back_count, then the same of the buckets that get back_cost when refused
-- returns  passed (1, 0), then per policy of take: left, reset_ms, retry_ms
--
-- A bucket is its theoretical arrival time (GCRA): when it will be full again, if nothing more
-- is taken. One request moves it by window/quota, which is rarely whole: rest counts the
-- fraction in quota-ths of a microsecond, so that exactly quota requests fit into a window.
-- Numbers are doubles, exact below 2^53; gate/limit.c does the same steps with the same type.
--
-- Every request runs this: hence fixed widths instead of patterns, and few tables.

local call, floor, sub, format = redis.call, math.floor, string.sub, string.format
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

local tats, rests = {}, {}
local stored = call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
	local value = stored[i + 1]
	tats[stored[i]] = tonumber(sub(value, 1, 16)) or 0
	rests[stored[i]] = tonumber(sub(value, 18)) or 0
end

-- The bucket as it is now: never before now (it cannot be fuller than full), never more than
-- a window after it (a shorter window, or a clock set back, must not lock the key out: then
-- it is written again even if nothing is taken, or the wait would never end).
local function read(name, quota, window)
	local tat, rest = tats[name] or 0, rests[name] or 0
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

local changed = {}
local function write(name, tat, rest)
	tats[name] = tat
	changed[#changed + 1] = name
	changed[#changed + 1] = format('%016.0f %.0f', tat, rest)
end

local cost, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local passed = count > 0	-- nothing to take: only gives back
local old_tat, old_rest, clamped, new_tat, new_rest, wait = {}, {}, {}, {}, {}, {}
for i = 1, count do
	local quota, window = tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2] * 1000
	local tat, rest, beyond = read(ARGV[3 * i], quota, window)
	old_tat[i], old_rest[i], clamped[i] = tat, rest, beyond
	tat, rest = moved(tat, rest, cost, quota, window)
	new_tat[i], new_rest[i] = tat, rest
	wait[i] = (rest > 0 and tat + 1 or tat) - (now + window)
	if wait[i] > 0 then
		passed = false
	end
end

if passed then
	old_tat, old_rest = new_tat, new_rest
end
for i = 1, count do
	if passed and cost > 0 or not passed and clamped[i] then
		write(ARGV[3 * i], old_tat[i], old_rest[i])
	end
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
			write(name, tat, rest)
		end
	end
end

-- The hash lapses when its last bucket is full: then it says no more than no hash.
if #changed > 0 then
	local last = now
	for _, tat in pairs(tats) do
		if tat > last then
			last = tat
		end
	end
	call('HSET', KEYS[1], unpack(changed))
	call('PEXPIRE', KEYS[1], floor((last - now) / 1000) + 1)
end

local answer = { passed and 1 or 0 }
for i = 1, count do
	local quota, window = tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2] * 1000
	local tat, rest, retry = old_tat[i], old_rest[i], 0
	if wait[i] > 0 then
		retry = cost > quota and window / 1000 or floor((wait[i] + 999) / 1000)
	end
	answer[3 * i - 1] = floor(((now + window - tat) * quota - rest) / window)
	answer[3 * i] = floor(((rest > 0 and tat + 1 or tat) - now + 999) / 1000)
	answer[3 * i + 1] = retry
end
return answer
