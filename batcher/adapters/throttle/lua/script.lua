-- The script itself: the state out of Redis, what is asked of it, the state back.
--
-- KEYS[1]  the quota's state
-- ARGV[1]  the channel on which pauses are told
-- ARGV[2]  the time, in seconds; empty for the server's own clock, as always but in tests
-- ARGV[3]  how long the state is kept, in milliseconds
-- ARGV[4]  the process that calls: which worker of its jobs it is
-- ARGV[5…] three for each operation: its letter, a text, numbers as packed doubles
--
-- Returns the state's figures, then an answer for each operation, all as packed doubles.

local function pack(numbers)
  local parts = {}
  for i, number in ipairs(numbers) do
    parts[i] = struct.pack("<d", number)
  end
  return table.concat(parts)
end

local function unpack_all(text)
  local numbers = {}
  for i = 1, #text / 8 do
    numbers[i] = struct.unpack("<d", text, 8 * i - 7)
  end
  return numbers
end

local function store(list, names, record)
  for _, name in ipairs(names) do
    list[#list + 1] = record[name]
  end
end

local function restore(list, at, names, record)
  for i, name in ipairs(names) do
    record[name] = list[at + i]
  end
  return at + #names
end

-- What came later stands last: a worker of before it reads the rest, and drops it.
local function save(q)
  local list = {}
  store(list, BUCKET, q.requests)
  store(list, BUCKET, q.tokens)
  store(list, REFUSALS, q.refusals)
  store(list, QUOTA, q)
  list[#list + 1] = q.sharing.shared
  list[#list + 1] = q.sharing.shared_at
  list[#list + 1] = q.sharing.members
  store(list, WINDOW, q.request_window)
  list[#list + 1] = q.request_window.log
  store(list, WINDOW, q.token_window)
  list[#list + 1] = q.token_window.log
  store(list, QUOTA_MORE, q)
  store(list, WINDOW_MORE, q.request_window)
  store(list, WINDOW_MORE, q.token_window)
  store(list, QUOTA_LAST, q)
  return cmsgpack.pack(list)
end

local function load(text)
  local list = cmsgpack.unpack(text)
  local q = {requests = {}, tokens = {}, refusals = {}, sharing = {}}
  local at = restore(list, 0, BUCKET, q.requests)
  at = restore(list, at, BUCKET, q.tokens)
  at = restore(list, at, REFUSALS, q.refusals)
  at = restore(list, at, QUOTA, q)
  q.sharing.shared, q.sharing.shared_at, q.sharing.members =
    list[at + 1], list[at + 2], list[at + 3]
  at = at + 3
  q.request_window, q.token_window, q.explained, q.quick = new_window(), new_window(), -1, INF
  q.looked_at = -INF
  if #list >= at + 2 * #WINDOW + 2 + #QUOTA_MORE then
    at = restore(list, at, WINDOW, q.request_window)
    q.request_window.log = list[at + 1]
    at = restore(list, at + 1, WINDOW, q.token_window)
    q.token_window.log = list[at + 1]
    at = restore(list, at + 1, QUOTA_MORE, q)
    if #list >= at + 2 * #WINDOW_MORE then
      at = restore(list, at, WINDOW_MORE, q.request_window)
      at = restore(list, at, WINDOW_MORE, q.token_window)
      if #list >= at + #QUOTA_LAST then
        restore(list, at, QUOTA_LAST, q)
      end
    end
  end
  return q
end

-- The server's clock may be set back: then time goes on from where it was.
local function clock(q, time)
  local now = time + q.ahead
  if now < q.clock then
    q.ahead = q.clock - time
    now = q.clock
  end
  q.clock = now
  return now
end

local function figures(q, now)
  local requests, tokens = q.requests, q.tokens
  return {
    now, q.epoch, q.paused_until, q.at,
    shown_rate(requests, q.request_window, q.factor), is_known(requests) and 1 or 0, requests.flow,
    shown_rate(tokens, q.token_window, q.factor), is_known(tokens) and 1 or 0, tokens.flow,
    by_chance(q.refusals) and 1 or 0,
  }
end

local key, channel, keep, worker = KEYS[1], ARGV[1], ARGV[3], ARGV[4]
local time = tonumber(ARGV[2])
if not time then
  local seconds = redis.call("TIME")
  time = seconds[1] + seconds[2] / 1e6
end
local kept = redis.call("GET", key)
local q = kept and load(kept) or new_quota(time)
local now = clock(q, time)
local epoch, paused_until = q.epoch, q.paused_until
local reply = {""}
for i = 5, #ARGV, 3 do
  local operation = operations[ARGV[i]]
  reply[#reply + 1] = pack(operation(q, now, ARGV[i + 1], unpack_all(ARGV[i + 2]), worker))
end
redis.call("SET", key, save(q), "PX", keep)
if q.epoch ~= epoch or q.paused_until ~= paused_until or not kept then
  redis.call("PUBLISH", channel, pack({now, q.epoch, q.paused_until}))
end
reply[1] = pack(figures(q, now))
return reply
