-- batcher/core/throttle/windows.py once more: a limit that is counted in windows.

local NO_WINDOW, FIXED, SLIDING, EVEN = 0, 1, 2, 3

-- The log comes after these: times and amounts, taking turns.
local WINDOW = {
  "kind", "sure", "span", "most", "edge", "began", "used", "flying", "served", "full", "guessed",
  "told", "held", "top", "foreign", "at", "low", "ramped", "late", "fails", "failed_at",
  "fails_until", "popped_at", "seen_edge", "edge_left", "seen_left", "left_at", "former", "moved",
  "unprobed", "step", "distrust_until",
}

-- What a worker of before does not know, and drops: see save.
local WINDOW_MORE = {"distrust", "fresh_at", "quiet_at", "quiet", "early_at", "early"}

local function new_window()
  return {
    kind = NO_WINDOW, sure = false, span = INF, most = INF, edge = -INF, began = -INF, used = 0.0,
    flying = 0.0, served = 0.0, full = false, guessed = false, told = false, held = 0.0, top = 0.0,
    foreign = 0.0, at = -INF, low = INF, ramped = 0.0, late = 0.0, fails = 0.0, failed_at = -INF,
    fails_until = -INF, popped_at = -INF, seen_edge = -INF, edge_left = 0.0, seen_left = INF,
    left_at = -INF, former = 0.0, moved = 0, unprobed = 0.0, step = 1.0, distrust_until = -INF,
    distrust = 5.0, fresh_at = -INF, quiet_at = INF, quiet = 0.0, early_at = -INF, early = 0,
    log = {},
  }
end

local window = {}

do
  local MARGIN_SECONDS, MARGIN_SHARE, MEMORY_SECONDS = 0.15, 0.05, 60.0
  local BIN_SECONDS, BINS, RAMP, RAMP_SPAN, LONG_WAIT_SECONDS = 0.1, 64, 8.0, 20.0, 600.0
  local FOREIGN_SECONDS, LATE_LEAST, LATE_SECONDS, LATE_SHARE = 2.0, 0.05, 0.25, 0.1
  local EARLY_MOST, EARLY_SECONDS, MOVED_MOST, FAILS_MOST = 3, 2.0, 2, 5
  local EVEN_SLOWER, EVEN_FASTER, EVEN_LEFT, UNSURE_SECONDS, KEPT = 1.05, 0.99, 0.5, 0.75, 0.75
  local NOISE, GAIN, TOLERANCE_SECONDS = 0.05, 0.1, 0.25
  local RESET_SHARE, RESET_SECONDS, SLACK_SECONDS = 1.1, 1.1, 1.5
  local LOG_SHARE, SOON_SHARE, SHORTER_SHARE, LONGER_SHARE = 0.025, 0.5, 0.7, 1.3
  local JUMP_SHARE, JUMP_TIMES, JUMP_SECONDS = 0.5, 4.0, 2.0
  local USUAL_SECONDS = {1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 300.0, 600.0, 3600.0}
  local STEADY_SECONDS, STEADY_TIMES, STEADY_SHARE, STEADY_MOVED = 0.1, 6.0, 0.3, 0.7
  local NEAR_SHARE, SAME_SHARE = 0.1, 0.6
  local JITTER_SHARE, JITTER_SECONDS, DISTRUST_MOST = 0.15, 0.3, 120.0
  local PROBE_EVERY, PROBE_TOLD, LEAST_SPAN = 50.0, 200.0, 0.1

  local function usual(least, most)
    for _, seconds in ipairs(USUAL_SECONDS) do
      if least <= seconds and seconds <= most then
        return seconds
      end
    end
    return most
  end

  -- What is in the log from a place on.
  local function rest_of(log, first)
    local rest = {}
    for i = first, #log do
      rest[#rest + 1] = log[i]
    end
    return rest
  end

  local function measure_window(w)
    if w.full then
      local least = w.most < INF and 0.5 * w.most or 1.0
      w.most = math.max(w.served, least)
      w.full = false
    end
  end

  local function turn(w, edge)
    measure_window(w)
    if w.top > 0 then
      w.held = math.max(w.top, KEPT * w.held)
      w.most = w.held
      w.top = 0.0
    end
    w.began = edge
    w.popped_at = -INF
    w.used, w.served, w.flying, w.foreign, w.ramped = 0.0, 0.0, 0.0, 0.0, 0.0
    w.quiet_at, w.quiet = INF, 0.0
    w.low = INF
    w.log = {}
  end

  local function turn_log(w, edge)
    local log, first = w.log, 1
    while first <= #log and log[first] < edge do
      first = first + 2
    end
    local rest = rest_of(log, first)
    local flying, served = w.flying, w.served
    turn(w, edge)
    w.log = rest
    w.served = served
    for i = 2, #rest, 2 do
      w.used = w.used + rest[i]
    end
    w.flying = math.min(flying, w.used)
  end

  local function make_coarser(w)
    local log, joined = w.log, {}
    for i = 1, #log - 2, 4 do
      joined[#joined + 1] = log[i + 2]
      joined[#joined + 1] = log[i + 1] + log[i + 3]
    end
    if #log % 4 ~= 0 then
      joined[#joined + 1] = log[#log - 1]
      joined[#joined + 1] = log[#log]
    end
    w.log = joined
  end

  local function slack(w)
    return math.min(MARGIN_SECONDS, MARGIN_SHARE * w.span) + w.late
  end

  function window.rate(w)
    return w.kind ~= NO_WINDOW and w.span < INF and w.most / w.span or INF
  end

  function window.advance(w, to)
    if w.kind == FIXED then
      if to >= w.edge and w.edge > -INF then
        turn(w, w.edge)
        w.edge = -INF
      end
      return
    end
    local log, keep = w.log, nil
    if w.kind == SLIDING then
      w.foreign = w.foreign * math.exp(-math.max(0.0, to - w.at) / FOREIGN_SECONDS)
      w.at = math.max(w.at, to)
      if to >= w.edge and w.edge > w.began then
        measure_window(w)
        w.began, w.served = w.edge, 0.0
      end
      keep = to - w.span - slack(w)
    else
      keep = to - MEMORY_SECONDS
    end
    local first = 1
    while first <= #log and log[first] <= keep do
      w.used = w.used - log[first + 1]
      if w.kind == NO_WINDOW then
        w.served = math.max(0.0, w.served - log[first + 1])
      end
      first = first + 2
    end
    if first > 1 then
      w.log = rest_of(log, first)
      w.popped_at = to
      if #w.log == 0 then
        w.used, w.flying = 0.0, 0.0
      end
      if w.kind == NO_WINDOW then
        w.began = w.log[1] or -INF
      end
    end
  end

  local function may_probe(w, amount)
    if w.told then
      return w.kind == FIXED and w.guessed and w.unprobed >= PROBE_TOLD * amount
    end
    return not w.sure or w.unprobed >= PROBE_EVERY * amount
  end

  function window.wait(w, at, amount, ceiling)
    if w.kind == NO_WINDOW then
      return 0.0
    end
    if w.kind == EVEN then
      local last = w.log[#w.log - 1] or -INF
      return math.max(0.0, last + math.min(amount, w.most) / window.rate(w) - at)
    end
    if w.kind == FIXED and w.edge == -INF then
      return math.max(0.0, w.began + slack(w) - at)
    end
    local most = math.min(w.most, ceiling * w.span)
    local short = w.used + math.min(amount, most) - most
    if math.abs(w.foreign) > NOISE * w.most or (w.kind == FIXED and w.flying <= 0) then
      short = short + w.foreign
    end
    if short > 0 and w.flying <= 0 and may_probe(w, amount) then
      w.most = w.used + w.step * amount
      w.step = w.step * 2
      short = 0.0
    end
    if w.kind == SLIDING and not w.sure and w.told and w.flying + math.min(amount, most) > most then
      return UNSURE_SECONDS
    end
    if not (short > 0) then
      return 0.0
    end
    local delay = 0.0
    if w.kind == FIXED then
      delay = w.edge + slack(w) - at
    else
      local log = w.log
      for i = 1, #log, 2 do
        short = short - log[i + 1]
        if short <= 1e-9 then
          delay = log[i] + w.span + slack(w) - at
          break
        end
      end
    end
    return delay <= LONG_WAIT_SECONDS and delay or 0.0
  end

  function window.spacing(w, amount)
    if amount <= 0 or w.kind == EVEN then
      return 0.0
    end
    return amount / (math.max(RAMP, RAMP_SPAN / w.span) * (w.ramped + amount))
  end

  function window.take(w, at, amount)
    if w.began == -INF then
      w.began = at
    end
    if w.kind == FIXED and w.edge == -INF then
      w.edge = at + w.span
      w.guessed = true
    end
    w.used = w.used + amount
    w.flying = w.flying + amount
    w.ramped = w.ramped + amount
    w.unprobed = w.unprobed + amount
    local log = w.log
    local size = #log
    if size > 0 and at - log[size - 1] < BIN_SECONDS
      and (size == 2 or at - log[size - 3] < 2 * BIN_SECONDS) then
      log[size - 1] = at
      log[size] = log[size] + amount
      return
    end
    log[size + 1] = at
    log[size + 2] = amount
    if #log > 2 * BINS then
      make_coarser(w)
    end
  end

  function window.put_back(w, amount)
    w.used = math.max(0.0, w.used - amount)
    w.flying = math.max(0.0, w.flying - amount)
    local log = w.log
    while amount > 0 and #log > 0 do
      local size = #log
      if log[size] > amount then
        log[size] = log[size] - amount
        return
      end
      amount = amount - log[size]
      log[size], log[size - 1] = nil, nil
    end
  end

  local function forget_window(w)
    w.kind = NO_WINDOW
    w.former = 0.0
    w.sure, w.full, w.told = false, false, false
    w.span, w.most = INF, INF
    w.edge = -INF
    w.held, w.top, w.late = 0.0, 0.0, 0.0
    w.seen_edge, w.fresh_at = -INF, -INF
    w.moved = 0
  end

  window.forget = forget_window

  local function distrust(w, now)
    forget_window(w)
    w.distrust_until = now + w.distrust
    w.distrust = math.min(2.0 * w.distrust, DISTRUST_MOST)
  end

  local function begin(w, edge)
    w.kind = SLIDING
    w.sure = false
    w.span = math.max(edge - math.max(w.began, w.fresh_at), LEAST_SPAN)
    w.edge = edge
    w.most = w.told and w.held or INF
    w.moved = 0
  end

  local function tell_apart(w, edge)
    local gap = edge - w.edge
    w.sure = true
    if gap < SAME_SHARE * w.span then
      return
    end
    w.kind = FIXED
    turn_log(w, w.edge)
    w.span = gap
    w.edge = edge
  end

  local function move(w, now, reset, near)
    if w.kind == SLIDING and math.abs(reset - w.span) <= near then
      w.moved = 0
      return
    end
    w.moved = w.moved + 1
    if w.moved >= MOVED_MOST then
      distrust(w, now)
    end
  end

  local function postpone(w, send_at, sent_at, amount)
    local log, i = w.log, 1
    while i <= #log and (log[i] < send_at or log[i + 1] < amount) do
      i = i + 2
    end
    if i > #log or log[i] >= sent_at then
      return
    end
    log[i + 1] = log[i + 1] - amount
    while i <= #log and log[i] < sent_at do
      i = i + 2
    end
    if i <= #log and log[i] < sent_at + BIN_SECONDS then
      log[i + 1] = log[i + 1] + amount
      return
    end
    table.insert(log, i, amount)
    table.insert(log, i, sent_at)
    if #log > 2 * BINS then
      make_coarser(w)
    end
  end

  local function found(w, sent_at, amount)
    local fails = w.fails
    w.fails = 0.0
    if fails < 2 or w.kind == EVEN then
      return
    end
    if w.kind == NO_WINDOW then
      local rate = w.served / (3 * math.max(w.failed_at - w.began, 0.1))
      if rate * (sent_at - w.failed_at) < 5 * amount or sent_at < w.distrust_until then
        return
      end
      local first = w.began
      w.full = not w.told
      begin(w, usual(w.fails_until - first, sent_at - first) + first)
    elseif w.edge > -INF and w.edge <= w.fails_until then
      local first = w.edge
      tell_apart(w, usual(w.fails_until - first, sent_at - first) + first)
      window.advance(w, sent_at)
      w.began = math.min(w.began, sent_at)
    end
  end

  function window.answered(w, now, send_at, sent_at, amount, left)
    if sent_at > send_at + LATE_LEAST and w.kind ~= FIXED then
      postpone(w, send_at, sent_at, amount)
    end
    if w.fails > 0 and sent_at > w.fails_until then
      found(w, sent_at, amount)
    end
    if send_at >= w.began then
      w.flying = math.max(0.0, w.flying - amount)
      w.served = w.served + amount
      if w.flying <= 0 then
        w.quiet_at, w.quiet = now, w.served
      end
    end
    if left then
      w.told = true
      w.top = math.max(w.top, left + amount)
      if w.top > w.held then
        w.held = w.top
        if w.kind ~= NO_WINDOW then
          w.most = w.held
        end
      end
      if left + amount >= w.held and sent_at >= w.quiet_at then
        w.fresh_at = sent_at
      end
    end
  end

  local function granted(w, after, until_)
    local log, sum = w.log, 0.0
    for i = 1, #log, 2 do
      if log[i] >= until_ then
        break
      end
      if log[i] > after then
        sum = sum + log[i + 1]
      end
    end
    return sum
  end

  local function restart(w, sent_at)
    w.kind, w.sure = FIXED, true
    turn_log(w, w.quiet_at)
    w.edge = (w.log[1] or sent_at) + w.span
    w.guessed = true
  end

  local function see_jump(w, sent_at, amount, left, rate)
    local gained = left - w.seen_left
    local refill = rate * (sent_at - w.left_at)
    local recent = sent_at - w.began < JUMP_SECONDS or w.served <= 2 * amount
    local span = recent and w.former or sent_at - w.began
    if sent_at > w.left_at + TOLERANCE_SECONDS and gained >= JUMP_SHARE * w.held
      and gained > JUMP_TIMES * refill and w.distrust_until < sent_at and span > 0 then
      w.kind, w.sure, w.span, w.most = SLIDING, false, span, w.held
      if not recent then
        w.began = sent_at
      end
      w.edge = w.began
      w.moved = 0
    end
    if gained < refill then
      w.seen_left, w.left_at = left, sent_at
    end
  end

  function window.see_left(w, send_at, sent_at, amount, left, since, rate)
    if w.kind == NO_WINDOW then
      see_jump(w, sent_at, amount, left, rate)
      return
    end
    if send_at < w.began then
      return
    end
    if w.kind == SLIDING and sent_at >= w.quiet_at and left > JUMP_SHARE * w.most then
      local known = granted(w, sent_at + JUMP_SECONDS - w.span, w.quiet_at)
      if left + amount > w.most - known + JUMP_SHARE * w.most then
        restart(w, sent_at)
        return
      end
    end
    if w.popped_at > sent_at then
      return
    end
    if w.kind == EVEN then
      if left > EVEN_LEFT * w.most then
        w.span = math.max(EVEN_FASTER * w.span, LEAST_SPAN)
      end
      return
    end
    local less = w.most - (left - since) - w.used
    local known = sent_at >= w.quiet_at and w.quiet or 0.0
    if w.kind == FIXED and left + amount > w.most - known + JUMP_SHARE * w.most then
      w.span = math.min(w.span, math.max(sent_at - w.began, LEAST_SPAN))
      restart(w, sent_at)
    elseif w.kind == FIXED then
      w.low = math.min(w.low, left)
      if w.flying <= 0 then
        w.foreign = w.most - w.low - w.used
        return
      end
    end
    w.foreign = math.max(0.0, w.foreign + GAIN * (less - w.foreign))
  end

  local function suspect(w, now, edge, reset, step, left, limit, admitted)
    if now < w.distrust_until or w.began == -INF then
      return
    end
    local near = STEADY_SECONDS + step
    local full = MEMORY_SECONDS * (1.0 - left / limit)
    local late = reset > RESET_SHARE * full + RESET_SECONDS + step
    if late or (admitted and reset < SOON_SHARE * MEMORY_SECONDS / limit - near) then
      begin(w, edge)
      return
    end
    local refill = MEMORY_SECONDS * (w.edge_left - left) / limit
    local moved = edge - w.seen_edge
    if left > w.edge_left or w.seen_edge < now or moved > STEADY_MOVED * refill then
      w.seen_edge, w.edge_left = edge, left
    elseif refill > STEADY_TIMES * near and moved <= math.max(near, STEADY_SHARE * refill) then
      begin(w, edge)
    end
  end

  local function is_another(w, sent_at, edge, near)
    local log = w.log
    if #log == 0 then
      return false
    end
    if w.sure and edge > log[#log - 1] + LONGER_SHARE * w.span + near then
      return true
    end
    if w.popped_at > sent_at - TOLERANCE_SECONDS or log[1] >= sent_at then
      return false
    end
    return edge < log[1] + SHORTER_SHARE * w.span - near
  end

  function window.see_reset(w, now, sent_at, reset, step, left, limit, admitted)
    local edge = sent_at + reset
    local near = math.min(TOLERANCE_SECONDS, NEAR_SHARE * w.span) + step
    if w.kind == NO_WINDOW then
      suspect(w, now, edge, reset, step, left, limit, admitted)
    elseif w.kind == SLIDING and is_another(w, sent_at, edge, near) then
      begin(w, edge)
    elseif w.kind == SLIDING and not w.sure then
      if sent_at >= w.edge and math.abs(reset - w.span) <= near then
        w.sure = true
      elseif edge > w.edge + near then
        if sent_at >= w.edge then
          tell_apart(w, edge)
        else
          move(w, now, reset, near)
        end
      end
    elseif w.kind == FIXED then
      if w.guessed and math.abs(edge - w.edge) <= math.max(near, NEAR_SHARE * w.span) then
        w.edge = edge
        w.guessed = false
      elseif edge > w.edge + near then
        if sent_at >= w.began and w.edge > sent_at + near then
          move(w, now, reset, near)
          w.edge = w.kind ~= NO_WINDOW and edge or -INF
        else
          turn(w, math.max(w.edge, sent_at))
          w.edge = edge
        end
      elseif edge < w.edge - near and sent_at >= w.began then
        w.edge = edge
        w.guessed = false
      elseif w.edge > -INF and math.abs(edge - w.edge) <= near then
        w.moved = 0
        w.edge = step ~= 0 and math.min(edge, w.edge) or math.max(edge, w.edge)
      end
    end
  end

  local function is_even(w, now)
    w.early = now < w.early_at + EARLY_SECONDS and w.early + 1 or 1
    w.early_at = now
    if w.early < EARLY_MOST or w.most == INF then
      return false
    end
    w.kind, w.sure = EVEN, true
    return true
  end

  local function came_early(w, now, retry)
    w.late = math.min(w.late + math.min(retry, LATE_SECONDS), LATE_SHARE * w.span)
    is_even(w, now)
    return true
  end

  local function refused_without_a_time(w, now, amount)
    w.step, w.unprobed = 1.0, 0.0
    if w.kind == EVEN then
      w.span = w.span * EVEN_SLOWER
      return true
    end
    if w.kind ~= NO_WINDOW and not w.told and w.used + amount > w.most then
      w.most = math.max(w.most - amount, 0.5 * w.most)
      return true
    end
    if w.fails == 0 then
      w.failed_at = now
    end
    w.fails = w.fails + 1
    w.fails_until = now
    if w.kind ~= NO_WINDOW and not w.told and w.fails > FAILS_MOST then
      distrust(w, now)
    end
    return w.kind ~= NO_WINDOW or w.fails > 1
  end

  local function refused_while_sliding(w, now, retry, amount)
    local edge = now + retry
    if now < w.edge then
      w.edge = math.max(w.edge, edge)
      w.full = not w.told
      return true
    end
    if retry <= JITTER_SECONDS then
      return came_early(w, now, retry)
    end
    local whole = retry == math.floor(retry) and 0.5 or 0.0
    local near = TOLERANCE_SECONDS + LOG_SHARE * w.span + whole
    if w.log[1] and math.abs(edge - w.log[1] - w.span) <= near then
      w.sure = true
      if not w.told then
        w.most = math.max(w.most - amount, 0.5 * w.most)
      end
      return true
    end
    if retry <= JITTER_SHARE * w.span then
      return came_early(w, now, retry)
    end
    tell_apart(w, edge)
    w.full = not w.told
    return true
  end

  function window.refused(w, now, retry, amount, rate)
    if not retry or retry == 0 then
      return refused_without_a_time(w, now, amount)
    end
    local edge = now + retry
    w.step, w.unprobed = 1.0, 0.0
    if w.kind == NO_WINDOW then
      if now < w.distrust_until or w.began == -INF or retry > LONG_WAIT_SECONDS then
        return false
      end
      if rate == INF then
        rate = (w.served + amount) / (3 * math.max(now - w.began, 0.1))
      end
      if retry <= RESET_SHARE * amount / rate + SLACK_SECONDS then
        w.former = edge - w.began
        turn(w, edge)
        return false
      end
      begin(w, edge)
      if retry == 60.0 or retry == 300.0 or retry == 600.0 then
        w.span = math.min(w.span, retry)
      end
      w.full = not w.told
      return true
    end
    if w.kind == EVEN then
      w.span = w.span * EVEN_SLOWER
      return true
    end
    if w.kind == SLIDING then
      return refused_while_sliding(w, now, retry, amount)
    end
    local early = retry <= JITTER_SHARE * w.span and w.served < 0.5 * w.most
    if early and is_even(w, now) then
      return true
    end
    w.edge = edge
    w.full = not w.told and not early
    return true
  end
end
