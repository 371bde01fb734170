-- One provider's circuit breaker and retry budget, shared by all workers of all hosts: decides
-- and counts in one step, on Redis' clock. See llm/breaker.h; llm/breaker.c does the same steps
-- per process while Redis is away.
--
-- KEYS[1]  hash of one provider
-- ARGV     op, turn, threshold, min_calls, ratio (percent), window_ms, recovery_ms, probe_ms,
--          patience_ms
--          op: look    say how it stands, change nothing
--              claim   an attempt is about to be made: may it? Half-open: one probe only
--              alive   a claimed attempt's first sign of success; more is to come
--              success, failure    how it ended
--              neutral it ended in a way that says nothing of the provider
--              retry   failure, and: may the caller try again?
--              reset   closed, everything forgotten but the totals
--          turn: what the claim had in answer; -1: claimed elsewhere. Every change of state
--          begins another turn, and what was begun in an earlier one changes nothing any more
--          recovery_ms is jittered by the caller, who has random numbers
-- returns  state (0 closed, 1 open, 2 half-open), may call or retry (1, 0), wait_ms until a
--          call may pass, probe (1: this claim is the probe; 2: and may outlive its claim),
--          changed (1: this step opened it, 2: closed it), turn,
--          calls, failures, retries, opens (totals)

local op, turn = ARGV[1], tonumber(ARGV[2])
local threshold, min_calls, ratio = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local window, recovery, probe_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local patience = tonumber(ARGV[9])
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
local OPENED, SHUT = 1, 2
local may, probe, changed = 0, 0, 0

local function change(state, till)
	b.state, b['until'], b.early = state, till, 0
	b.row, b.window_calls, b.window_failures, b.good_before = 0, 0, 0, 0
	add('turn')
end

local function open(till)
	change(OPEN, math.max(now, till))
	add('opens')
	changed = OPENED
end

local function close()
	change(CLOSED, 0)
	b.patient, b.patient_until = 0, 0
	changed = SHUT
end

-- Open and its time is over, or the probe's has gone by without word.
local function probe_due()
	return get('state') ~= CLOSED and now >= get('until')
end

local function is_probe()
	return get('state') == HALF and turn == get('turn')
end

local function is_patient()
	return get('state') ~= CLOSED and turn > 0 and turn == get('patient')
end

-- The probe whose first sign has closed it, with nothing known since.
local function is_early()
	return get('state') == CLOSED and turn > 0 and turn == get('early')
end

local function is_current()
	return get('state') == CLOSED and (turn < 0 or turn >= get('turn'))
end

local function part_with_patient()
	if is_patient() then
		b.patient, b.patient_until = 0, 0
	end
end

local function count()
	if now - get('budget') >= BUDGET_MS or now < get('budget') then
		b.budget, b.budget_calls, b.budget_retries = now, 0, 0
	end
	add('calls')
	add('budget_calls')
end

local function good()
	return get('window_calls') - get('window_failures')
end

local function count_in_window()
	local age = now - get('window')
	if age >= window or age < 0 then
		b.good_before = age >= 0 and age < 2 * window and good() or 0
		b.window, b.window_calls, b.window_failures = now, 0, 0
	end
	add('window_calls')
end

-- See ratio_is_bad() and row_is_bad() in llm/breaker.c.
local function ratio_is_bad()
	local calls, failures = get('window_calls'), get('window_failures')
	local noise = ratio * 3
	local excess = failures * 500 - noise * calls
	return calls >= min_calls and failures * 100 >= ratio * calls
		and excess * excess >= 16 * noise * (500 - noise) * calls
end

local function row_is_bad()
	local known, needed = get('good_before') + good(), threshold
	if known * 2 > threshold then
		needed = needed + threshold
	end
	if known > 20 * threshold then
		needed = needed + threshold
	end
	return get('row') >= needed
end

local function fail()
	count()
	add('failures')
	part_with_patient()
	if is_probe() then
		open(get('until') - probe_ms + recovery)
	elseif is_early() then
		open(now + recovery)
	elseif is_current() then
		count_in_window()
		add('window_failures')
		add('row')
		if ratio_is_bad() or row_is_bad() then
			open(now + recovery)
		end
	end
end

if op == 'look' then
	may = (get('state') == CLOSED or probe_due()) and 1 or 0
elseif op == 'claim' then
	if get('state') == CLOSED then
		may = 1
	elseif probe_due() then
		change(HALF, now + probe_ms)
		may, probe = 1, 1
		if now >= get('patient_until') or get('patient_until') > now + patience then
			b.patient, b.patient_until, probe = get('turn'), now + patience, 2
		end
	end
elseif op == 'alive' then
	if is_probe() or is_patient() then
		close()
		b.early = turn
	end
elseif op == 'success' then
	count()
	if is_probe() or is_patient() then
		close()
	elseif is_current() or is_early() then
		count_in_window()
		b.row, b.early = 0, 0
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
	part_with_patient()
	if is_probe() then
		change(OPEN, now)
	end
elseif op == 'reset' then
	close()
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
return { get('state'), may, wait, probe, changed, get('turn'),
	get('calls'), get('failures'), get('retries'), get('opens') }
