-- Requests with an Idempotency-Key: one runs, the others wait, are refused, or get its answer.
-- See flow/idempotency.h. One hash per user and key:
--   token, request    who runs it, and the digest of what was asked
--   answer fields     once it is done: names and values as they were given
--
-- KEYS[1]  the hash
-- ARGV     op, token, then
--          begin  request, lock_ms        lock_ms: it counts as dead after that
--          done   ttl_ms, name, value...  the answer, kept for so long; request is among it
--          drop                           it failed in a way that may pass: the next one runs
-- returns  begin: {"begun"}, also of one with the token of the lock: the web server sends a request
--          again whose worker has died; {"running"}; {"other"} asked something else under this key;
--          {"done", name, value...}
--          done, drop: 1; 0 where the lock has lapsed and another runs or has answered

local key, op, token = KEYS[1], ARGV[1], ARGV[2]
local owner = redis.call('HMGET', key, 'token', 'request')

if op == 'begin' then
	if not owner[2] or (owner[1] == token and owner[2] == ARGV[3]) then
		redis.call('HSET', key, 'token', token, 'request', ARGV[3])
		redis.call('PEXPIRE', key, ARGV[4])
		return { 'begun' }
	elseif owner[2] ~= ARGV[3] then
		return { 'other' }
	elseif owner[1] then
		return { 'running' }
	end
	local stored = redis.call('HGETALL', key)
	local answer = { 'done' }
	for i = 1, #stored, 2 do
		if stored[i] ~= 'request' then
			answer[#answer + 1] = stored[i]
			answer[#answer + 1] = stored[i + 1]
		end
	end
	return answer
end

-- Where the lock has lapsed and nobody came meanwhile, the answer is still worth keeping.
if owner[2] and owner[1] ~= token then
	return 0
end
if op == 'drop' then
	redis.call('DEL', key)
	return 1
end
redis.call('HDEL', key, 'token')
for i = 4, #ARGV, 2 do
	redis.call('HSET', key, ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', key, ARGV[3])
return 1
