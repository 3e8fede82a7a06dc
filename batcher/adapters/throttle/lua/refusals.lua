-- batcher/core/throttle/refusals.py once more: a limit, or chance.

local MEASURE_SECONDS, MEASURED_SECONDS = 1.0, 120.0
local IN_VAIN, PATIENCE, PATIENCE_BACK = 0.85, 2.0, 0.5
local CHANCE_MOST, CHANCE_ANSWERS = 0.15, 100.0

local REFUSALS = {
  "at", "emptied", "served", "served_since", "tokens_since", "measured", "refused", "in_vain",
}

local function new_refusals()
  return {
    at = -INF, emptied = false, served = 0.0, served_since = 0.0, tokens_since = 0.0,
    measured = 0.0, refused = 0.0, in_vain = 0.0,
  }
end

local function by_chance(r)
  return r.in_vain >= PATIENCE
end

local function start_measuring(r, now, emptied)
  r.at, r.emptied = now, emptied
  r.served, r.served_since, r.tokens_since = 0.0, 0.0, 0.0
end

local function forget(r)
  r.measured, r.in_vain = 0.0, 0.0
end

local function count(r, tokens, send_at, admitted)
  if admitted then
    r.refused = r.refused - r.refused / CHANCE_ANSWERS
    r.served = r.served + 1
    if send_at >= r.at then
      r.served_since = r.served_since + 1
      r.tokens_since = r.tokens_since + tokens
    end
    return
  end
  r.refused = r.refused + (1.0 - r.refused) / CHANCE_ANSWERS
  if r.refused > CHANCE_MOST then
    forget(r)
  end
end

local function judge(r, tried)
  if by_chance(r) then
    return
  end
  if tried < IN_VAIN * r.measured then
    r.in_vain = r.in_vain + 1
  else
    r.in_vain = math.max(0.0, r.in_vain - PATIENCE_BACK)
  end
end

local function measure(r, now, request_rate, token_rate)
  local seconds = math.max(now - r.at, 0.1)
  local served = r.served / seconds
  if r.emptied then
    local share = math.max(r.served_since / request_rate, r.tokens_since / token_rate) / seconds
    local stands = r.measured * math.exp(-seconds / MEASURED_SECONDS)
    r.measured = math.max(share, stands)
  else
    r.measured = 0.0
  end
  start_measuring(r, now, true)
  return served
end
