-- The claim of an id by a request, which holds until it is replaced by what came of it. A request
-- that the web server sends again, since its worker has died, has the same token and keeps it.
--
-- KEYS[1]  the claim
-- ARGV     token, life_ms
-- returns  1 claimed; 0 another has it

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
	return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
