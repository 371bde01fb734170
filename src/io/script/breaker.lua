-- One provider's circuit breaker and retry budget, shared by all workers of all hosts: decides
-- and counts in one step, on Redis' clock. See llm/breaker.h; llm/breaker.c does the same steps
-- per process while Redis is away.
--
-- KEYS[1]  hash of one provider
-- ARGV     op, threshold, min_calls, ratio (percent), window_ms, recovery_ms, probe_ms, jitter
--          op: look    say how it stands, change nothing
--              claim   an attempt is about to be made: may it? Half-open: one probe only
--              success, failure    how a claimed attempt ended
--              neutral it ended in a way that says nothing of the provider
--              retry   failure, and: may the caller try again?
--              reset   closed, everything forgotten but the totals
--          recovery_ms is jittered by the caller, who has random numbers
-- returns  state (0 closed, 1 open, 2 half-open), may call or retry (1, 0), wait_ms until a
--          call may pass, probe (1: this claim is the probe), opened (1: this step opened it),
--          calls, failures, retries, opens (totals)

local op = ARGV[1]
local threshold, min_calls, ratio = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local window, recovery, probe_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local BUDGET_MS, BUDGET_RESERVE, BUDGET_PERCENT = 10000, 100, 20

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local b = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	b[all[i]] = tonumber(all[i + 1])
end
local function get(name)
	return b[name] or 0
end
local function add(name)
	b[name] = get(name) + 1
end

local CLOSED, OPEN, HALF = 0, 1, 2
local may, probe, opened = 0, 0, 0

local function roll()
	if now - get('window') >= window or now < get('window') then
		b.window, b.window_calls, b.window_failures = now, 0, 0
	end
	if now - get('budget') >= BUDGET_MS or now < get('budget') then
		b.budget, b.budget_calls, b.budget_retries = now, 0, 0
	end
end

local function open()
	b.state, b['until'], b.row = OPEN, now + recovery, 0
	b.window_calls, b.window_failures = 0, 0
	add('opens')
	opened = 1
end

local function close()
	b.state, b['until'], b.row = CLOSED, 0, 0
end

-- Open and its time is over, or the probe's owner never came back.
local function probe_due()
	return get('state') ~= CLOSED and now >= get('until')
end

local function count(failed)
	roll()
	add('calls')
	add('window_calls')
	add('budget_calls')
	if failed then
		add('failures')
		add('window_failures')
	end
end

local function fail()
	count(true)
	if get('state') == HALF then
		open()
	elseif get('state') == CLOSED then
		add('row')
		local known = get('window_calls') >= min_calls
		local bad = get('window_failures') * 100 >= ratio * get('window_calls')
		if known and bad or get('row') >= (known and 2 * threshold or threshold) then
			open()
		end
	end
end

if op == 'look' then
	may = (get('state') == CLOSED or probe_due()) and 1 or 0
elseif op == 'claim' then
	if get('state') == CLOSED then
		may = 1
	elseif probe_due() then
		b.state, b['until'], may, probe = HALF, now + probe_ms, 1, 1
	end
elseif op == 'success' then
	count(false)
	if get('state') == HALF then
		close()
	elseif get('state') == CLOSED then
		b.row = 0
	end
elseif op == 'failure' then
	fail()
elseif op == 'retry' then
	fail()
	if get('state') == CLOSED and get('budget_retries')
		< BUDGET_RESERVE + get('budget_calls') * BUDGET_PERCENT / 100 then
		add('budget_retries')
		add('retries')
		may = 1
	end
elseif op == 'neutral' then
	if get('state') == HALF then
		b.state, b['until'] = OPEN, now
	end
elseif op == 'reset' then
	close()
	b.window_calls, b.window_failures = 0, 0
end

if op ~= 'look' and not (op == 'claim' and probe == 0) then
	local fields = {}
	for name, value in pairs(b) do
		fields[#fields + 1] = name
		fields[#fields + 1] = string.format('%.0f', value)
	end
	if #fields > 0 then
		redis.call('HSET', KEYS[1], unpack(fields))
		redis.call('PEXPIRE', KEYS[1], math.max(86400000, recovery * 2))
	end
end

local wait = get('state') == CLOSED and 0 or math.max(0, get('until') - now)
return { get('state'), may, wait, probe, opened,
	get('calls'), get('failures'), get('retries'), get('opens') }
