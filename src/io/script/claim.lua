-- The claim of a batch's id by the request that answers it. See api/batch.h, tm_batch_key. One that
-- begins the same again has the same token: it takes the claim over, or gets what came of it.
--
-- KEYS[1]  the claim
-- ARGV     token, life_ms, items_count
-- returns  1 claimed; 0 another has it; a string: what came of it

local time = redis.call('TIME')
local owner = redis.call('GET', KEYS[1])
if owner then
	local state, token, rest = string.match(owner, '^(%l+) (%x+) (.*)$')
	if token ~= ARGV[1] then
		return 0
	elseif state == 'done' then
		return rest
	end
end
redis.call('SET', KEYS[1], string.format('sync %s %s %s%03d', ARGV[1], ARGV[3], time[1],
	math.floor(time[2] / 1000)), 'PX', ARGV[2])
return 1
