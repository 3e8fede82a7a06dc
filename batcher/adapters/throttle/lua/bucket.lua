-- batcher/core/throttle/bucket.py once more: one limit's bucket.
--
-- These files are one script, in the order bucket, refusals, sharing, windows, quota, operations,
-- script. The
-- same operations in the same order as in Python, so that floating point agrees; a test on a real
-- server holds the two together. Change both or neither. The reasons stand there.

local INF = math.huge
local MINUTE, LEAST_LIMIT = 60.0, 0.001
local START_SECONDS, UNTOLD_SECONDS, LEAST_SECONDS, BURST_SECONDS = 1.0, 5.0, 2.0, 1.0
local FLOW_SECONDS, CATCH_UP_SECONDS, MARGIN_SECONDS, REFUND_SECONDS = 10.0, 10.0, 0.2, 2.0
local HEED_SECONDS, LEARNING, NOISE, SPARE_MOST = 60.0, 0.15, 0.3, 0.95

local BUCKET = {
  "ceiling", "limit", "guess", "heeded_at", "level", "burst", "reserved", "barrier", "rise",
  "answered", "told", "held", "unused", "fallen", "spare", "shows", "refunds", "all_answered",
  "all_unused", "all_gained", "flow", "rate", "capacity", "net", "inflow",
}

local function new_bucket()
  return {
    ceiling = INF, limit = INF, guess = INF, heeded_at = -INF, level = INF, burst = 0.0,
    reserved = 0.0, barrier = 0.0, rise = INF, answered = 0.0, told = false, held = 0.0,
    unused = 0.0, fallen = 0.0, spare = 0.0, shows = 0.0, refunds = 0.0, all_answered = 0.0,
    all_unused = 0.0, all_gained = 0.0, flow = 0.0, rate = INF, capacity = INF, net = 1.0,
    inflow = 0.0,
  }
end

local function is_limit(per_minute)
  return LEAST_LIMIT <= per_minute and per_minute < INF
end

local function is_known(b)
  return math.min(b.ceiling, b.limit) < INF
end

local function set_capacity(b)
  if b.told then
    b.capacity = math.min(MINUTE * b.rate, math.max(b.held, LEAST_SECONDS * b.rate))
  else
    b.capacity = UNTOLD_SECONDS * b.rate
  end
end

local function expect_refunds(b)
  if b.shows > NOISE then
    local steady = b.rate * b.spare / (1.0 - b.spare)
    b.net = 1.0 - b.shows * b.spare
    b.inflow = b.shows * math.min(b.refunds, steady)
  else
    b.net, b.inflow = 1.0, 0.0
  end
end

local function set_guess(b, guess)
  b.guess = guess
  b.rate = math.min(b.ceiling, b.limit, guess)
  set_capacity(b)
  expect_refunds(b)
end

local function set_rate(b, ceiling, limit)
  local was_limited = b.rate < INF
  b.ceiling, b.limit = ceiling, limit
  b.told = b.told and limit <= ceiling
  set_guess(b, INF)
  if not (b.rate < INF) then
    b.level = INF
  elseif not was_limited then
    b.level = START_SECONDS * b.rate
    b.burst = BURST_SECONDS * b.rate
  else
    b.level = math.min(b.level, b.capacity)
  end
end

local function heed_ceiling(b, now, ceiling)
  if ceiling > b.ceiling and now < b.heeded_at + HEED_SECONDS then
    return false
  end
  b.heeded_at = now
  if ceiling == b.ceiling then
    return false
  end
  set_rate(b, ceiling, b.limit)
  return true
end

local function release(b, factor)
  local unspent = b.level / (CATCH_UP_SECONDS * b.rate)
  return b.rate * factor * (1.0 + factor * math.max(1.0, unspent))
end

local function need(b, amount)
  return math.min(amount, b.told and MINUTE * b.rate or b.capacity)
end

local function advance_bucket(b, seconds, factor, fade, room)
  b.flow = b.flow * fade
  if b.rate == INF then
    return
  end
  local pace = b.rate * factor
  local full = math.max(b.level, b.capacity, room)
  b.level = math.min(full, b.level + (pace + b.inflow) * seconds)
  b.burst = math.min(BURST_SECONDS * pace, b.burst + release(b, factor) * seconds)
end

local function wait(b, amount, factor)
  if b.rate == INF or b.reserved == 0 then
    return 0.0
  end
  local short = need(b, amount) - b.level
  return short > 0 and short / (b.rate * factor + b.inflow) or 0.0
end

local function spacing(b, amount, factor)
  if b.rate == INF or b.reserved == 0 then
    return 0.0
  end
  local short = math.min(amount * b.net, BURST_SECONDS * b.rate * factor) - b.burst
  return short > 0 and short / release(b, factor) or 0.0
end

local function seconds_of(b, amount, factor)
  return amount / (b.rate * factor + b.inflow)
end

local function take(b, amount, bound)
  b.reserved = b.reserved + amount
  b.flow = b.flow + amount
  if b.rate < INF then
    b.level = b.level - amount
    b.burst = b.burst - amount * b.net
  end
  if not bound then
    b.barrier = b.reserved
  end
end

local function put_back(b, amount)
  if b.rate < INF then
    b.level = math.min(b.level + amount, math.max(b.level, b.capacity))
    b.burst = math.min(b.burst + amount * b.net, BURST_SECONDS * b.rate)
  end
end

local function start_bucket_window(b)
  b.rise = INF
  b.answered, b.unused, b.fallen = 0.0, 0.0, 0.0
end

local function empty(b)
  b.level = b.rate < INF and math.min(b.level, 0.0) or INF
  b.burst = 0.0
  b.shows = b.shows * 0.5
  b.all_gained = b.all_gained * 0.5
  expect_refunds(b)
  b.barrier = b.reserved
  start_bucket_window(b)
end

local function observe(b, remaining, amount, through, elapsed, admitted)
  if b.limit == INF then
    return
  end
  local governs = b.limit <= b.ceiling
  if governs and admitted then
    if remaining + amount > b.held then
      b.held = remaining + amount
      set_capacity(b)
    end
    b.answered = b.answered + amount
  end
  local since = b.reserved - math.max(through, b.barrier)
  if governs and not b.told then
    b.told = true
    set_capacity(b)
    b.level = math.min(remaining - since, MINUTE * b.rate)
    b.rise = 0.0
    return
  end
  local truth = math.min(remaining - since + elapsed * (b.limit + b.inflow), MINUTE * b.limit)
  if governs then
    truth = math.min(truth, b.capacity)
  end
  local difference = truth - b.level
  if difference < 0 then
    b.level = truth
    b.rise = 0.0
    b.fallen = b.fallen - difference
  elseif b.rise > 0 and governs and admitted and through > b.barrier then
    b.rise = math.min(b.rise, math.max(0.0, difference - amount - MARGIN_SECONDS * b.rate))
  end
end

local function charge(b, amount, charged)
  local unused = math.max(0.0, amount - charged)
  b.unused = b.unused + unused
  b.refunds = b.refunds + unused / REFUND_SECONDS
  expect_refunds(b)
end

local function close_bucket_window(b, seconds)
  if b.told and b.rise < INF then
    b.level = b.level + b.rise
    local gained = b.inflow * seconds + b.rise - b.fallen
    b.all_answered = b.all_answered + (b.answered - LEARNING * b.all_answered)
    b.all_unused = b.all_unused + (b.unused - LEARNING * b.all_unused)
    b.all_gained = b.all_gained + (gained - LEARNING * b.all_gained)
    if b.all_unused > 0 then
      b.spare = math.min(SPARE_MOST, b.all_unused / b.all_answered)
      b.shows = math.min(1.0, b.all_gained / b.all_unused)
    end
    expect_refunds(b)
  end
  start_bucket_window(b)
end
