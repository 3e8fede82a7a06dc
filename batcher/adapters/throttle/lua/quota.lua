-- batcher/core/throttle/quota.py once more: what goes on between the operations.

local DECREASE, FLOOR, RECOVERY, SLOW_RECOVERY = 0.75, 0.05, 0.005, 0.5 / 900
local GUESS, GUESS_CLOSE, GUESS_RETURN, GUESS_RETURN_REQUEST = 0.75, 0.95, 0.05, 0.0125
local GUESS_GROWTH, GUESS_MOST, GUESS_SECONDS, CHANCE_RECOVERY = 0.01, 1e5, 20.0, 0.05
local CHANCE_GROWTH = 0.25
local SILENCE_SECONDS, PROBE_SECONDS, PROBE_LOOK_SECONDS = 5.0, 10.0, 0.1
local WINDOW_SECONDS, WINDOW_ANSWERS = 0.5, 5
local WINDOW_HORIZON_SECONDS, FIRST_BURST, GROWTH, GROWTH_QUICK = 0.5, 16.0, 1.25, 0.18
local GROWTH_MOST, GROWTH_AT_ONCE = 7.5, 0.075
local LOOK_SECONDS, SETTLE_SECONDS = 0.005, 0.001

local QUOTA = {
  "at", "epoch", "paused_until", "factor", "factor_at", "recovery", "bound", "faded_at",
  "window_at", "window_answers", "taught", "probe_until", "clock", "ahead",
}

-- What a worker of before the windows does not know, and drops: see save.
local QUOTA_MORE = {"explained", "quick"}
local QUOTA_LAST = {"looked_at"}

local function new_quota(now)
  return {
    requests = new_bucket(), tokens = new_bucket(), refusals = new_refusals(),
    sharing = {members = {}, shared = 0.0, shared_at = 0.0},
    at = -INF, epoch = math.floor(now * 1000), paused_until = -INF, factor = 1.0,
    factor_at = -INF, recovery = RECOVERY, bound = false, faded_at = -INF, window_at = -INF,
    window_answers = 0, taught = false, probe_until = -INF, clock = now, ahead = 0.0,
    request_window = new_window(), token_window = new_window(), explained = -1, quick = INF,
    looked_at = -INF,
  }
end

local function start_window(q, now)
  q.window_at = now
  q.window_answers = 0
end

local function advance(q, to, amount)
  if q.at == -INF then
    q.at = to
  end
  local seconds = to - q.at
  if seconds > 0 then
    q.at = to
    local fade = math.exp(-seconds / FLOW_SECONDS)
    advance_bucket(q.requests, seconds, q.factor, fade, need(q.requests, 1))
    advance_bucket(q.tokens, seconds, q.factor, fade, need(q.tokens, amount))
    window.advance(q.request_window, to)
    window.advance(q.token_window, to)
  end
end

local function heed(q, now, request_ceiling, token_ceiling)
  advance(q, now, 0.0)
  local new = heed_ceiling(q.requests, now, request_ceiling)
  if heed_ceiling(q.tokens, now, token_ceiling) or new then
    forget(q.refusals)
  end
end

local function grow(q, now, seconds)
  local guess, growth = q.requests.guess, nil
  if by_chance(q.refusals) then
    growth = CHANCE_GROWTH
  elseif guess < GUESS_CLOSE * q.refusals.measured then
    growth = math.min(GUESS_RETURN, GUESS_RETURN_REQUEST * guess)
  else
    growth = GUESS_GROWTH
  end
  local calm = math.max(1.0, (now - q.paused_until) / GUESS_SECONDS)
  guess = guess * math.exp(math.min(10.0, growth * calm * seconds))
  set_guess(q.requests, guess)
  if guess > GUESS_MOST then
    set_rate(q.requests, q.requests.ceiling, q.requests.limit)
  end
end

local function recover(q, now)
  if now > q.faded_at then
    if q.tokens.refunds > 0 then
      q.tokens.refunds = q.tokens.refunds * math.exp(-(now - q.faded_at) / REFUND_SECONDS)
      expect_refunds(q.tokens)
    end
    q.faded_at = now
  end
  if now > q.factor_at then
    if q.factor < 1.0 then
      local recovery = by_chance(q.refusals) and CHANCE_RECOVERY or q.recovery
      q.factor = math.min(1.0, q.factor + recovery * (now - q.factor_at))
    elseif q.requests.guess < INF then
      grow(q, now, math.min(now - q.factor_at, MINUTE))
    end
    q.factor_at = now
  end
  if q.factor == 1.0 then
    q.recovery = RECOVERY
  end
end

local function lower(q, now)
  local requests, tokens, refusals = q.requests, q.tokens, q.refusals
  local known = is_known(requests) or is_known(tokens)
  judge(refusals, known and q.factor or requests.guess)
  local served = nil
  local first = not known and requests.guess == INF
  if refusals.served > 0 and (first or now - refusals.at >= MEASURE_SECONDS) then
    if known then
      served = measure(refusals, now, requests.rate, tokens.rate)
    else
      served = measure(refusals, now, 1.0, INF)
    end
  end
  if by_chance(refusals) then
    return
  end
  if served and not known then
    set_guess(requests, GUESS * served)
    q.factor = 1.0
  elseif requests.rate < INF or tokens.rate < INF then
    q.factor = math.max(FLOOR, q.factor * DECREASE)
  end
  q.factor_at = q.paused_until
end

local function count_answer(q, now)
  if q.window_answers == 0 and q.window_at == -INF then
    q.window_at = now
  end
  q.window_answers = q.window_answers + 1
  if q.window_answers >= WINDOW_ANSWERS and now - q.window_at >= WINDOW_SECONDS then
    close_bucket_window(q.requests, now - q.window_at)
    close_bucket_window(q.tokens, now - q.window_at)
    start_window(q, now)
  end
end

local function learn_window(
    q, now, w, b, epoch, send_at, sent_at, admitted, amount, through, left, reset, step, retry,
    suspected)
  if not admitted and send_at >= w.began then
    window.put_back(w, amount)
  end
  if epoch < q.epoch then
    return
  end
  if left and reset and b.limit < INF then
    window.see_reset(w, now, sent_at, reset, step, left, b.limit * MINUTE, admitted)
  end
  if left and admitted then
    window.see_left(w, send_at, sent_at, amount, left, b.reserved - through, b.limit)
  end
  if suspected and not admitted then
    if window.refused(w, now, retry, amount, b.rate * q.factor) then
      q.explained = epoch
    end
  end
end

local function window_wait(q, b, w, amount)
  if w.kind == NO_WINDOW then
    local delay = wait(b, amount, q.factor)
    return q.bound and math.max(delay, spacing(b, amount, q.factor)) or delay
  end
  return math.max(window.wait(w, q.at, amount, b.ceiling), window.spacing(w, amount))
end

local function growing_wait(q)
  if q.requests.reserved == 0 then
    return 0.0
  end
  local growth = math.max(
    GROWTH, math.min(GROWTH_QUICK / q.quick, GROWTH_MOST), GROWTH_AT_ONCE / q.quick)
  return 1.0 / (growth * (q.requests.reserved + FIRST_BURST))
end

local function window_seconds(b, w, amount, factor)
  if w.kind ~= NO_WINDOW then
    return amount / window.rate(w)
  end
  return seconds_of(b, amount, factor)
end

local function shown_rate(b, w, factor)
  return w.sure and math.min(window.rate(w), b.ceiling) or b.rate * factor
end

local function earliest(q, now, amount)
  advance(q, now, amount)
  local requests, tokens, factor = q.requests, q.tokens, q.factor
  if q.request_window.kind ~= NO_WINDOW or q.token_window.kind ~= NO_WINDOW then
    return q.at + math.max(
      window_wait(q, requests, q.request_window, 1),
      window_wait(q, tokens, q.token_window, amount))
  end
  if not (requests.rate < INF or tokens.rate < INF) then
    return q.at + growing_wait(q)
  end
  local delay = math.max(wait(requests, 1, factor), wait(tokens, amount, factor))
  if delay > 0 and not q.bound then
    q.bound = true
    requests.burst = requests.rate < INF and BURST_SECONDS * requests.rate * factor or 0.0
    tokens.burst = tokens.rate < INF and BURST_SECONDS * tokens.rate * factor or 0.0
  end
  if q.bound or not requests.told then
    delay = math.max(delay, spacing(requests, 1, factor))
  end
  if q.bound or not tokens.told then
    delay = math.max(delay, spacing(tokens, amount, factor))
  end
  return q.at + delay
end
