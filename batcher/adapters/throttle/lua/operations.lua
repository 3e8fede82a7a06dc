-- batcher/core/throttle/quota.py once more: what is asked of it.
--
-- Each operation takes the quota, the time, a text, numbers, and who asks; it returns numbers.

local NONE = 0 / 0

local function given(number)
  if number == number then
    return number
  end
end

local operations = {}

-- Heed ceilings and reserve: the text is the job, the numbers the ceilings of requests and of tokens
-- a second (infinite for none), the job's weight, and the costs in tokens. Returns when to come back
-- (or none), the epoch, and three for each ticket.
function operations.R(q, now, job, numbers, worker)
  heed(q, now, numbers[1], numbers[2])
  local answer = {NONE, q.epoch}
  local member, turn = enter(q.sharing, now, job, numbers[3], worker, q.at - now)
  if now < q.paused_until then
    leave(member, q.paused_until + GRACE_SECONDS, true)
    answer[1] = q.paused_until
    return answer
  end
  recover(q, now)
  if now - q.at >= SILENCE_SECONDS or q.refusals.at == -INF then
    start_measuring(q.refusals, now, false)
  end
  if now - q.at >= MINUTE and (q.requests.told or q.tokens.told) then
    q.bound = false
  end
  local requests, tokens, factor = q.requests, q.tokens, q.factor
  local learns = not (q.taught or requests.rate < INF or tokens.rate < INF)
    or q.request_window.fails > 1 or q.token_window.fails > 1
  local later = nil
  for i = 4, #numbers do
    if learns and now < q.probe_until then
      later = math.min(now + PROBE_LOOK_SECONDS, q.probe_until)
      break
    end
    local base = math.max(q.at, now)
    if turn and base > reach(turn, member) then
      later = come_back_at(turn, member, base)
      break
    end
    local amount = numbers[i]
    local send_at = earliest(q, now, amount)
    local windowed = q.request_window.kind ~= NO_WINDOW or q.token_window.kind ~= NO_WINDOW
    if windowed and send_at > now + WINDOW_HORIZON_SECONDS then
      later = math.min(send_at - LEAD_SECONDS, now + HORIZON_SECONDS)
      break
    end
    if turn then
      local used = math.max(
        window_seconds(requests, q.request_window, 1, factor),
        window_seconds(tokens, q.token_window, amount, factor))
      charge_turn(turn, member, used)
    elseif send_at > now + HORIZON_SECONDS then
      later = math.min(send_at - LEAD_SECONDS, now + HORIZON_SECONDS)
      break
    end
    advance(q, send_at, amount)
    take(requests, 1, q.bound)
    take(tokens, amount, q.bound)
    window.take(q.request_window, send_at, 1)
    window.take(q.token_window, send_at, amount)
    answer[#answer + 1] = send_at
    answer[#answer + 1] = requests.reserved
    answer[#answer + 1] = tokens.reserved
    if learns then
      q.probe_until = send_at + PROBE_SECONDS
    end
  end
  if later then
    leave(member, later + GRACE_SECONDS, true)
    answer[1] = later
  else
    leave(member, math.max(q.at, now) + HORIZON_SECONDS, false)
  end
  return answer
end

-- Give back: epoch, tokens and requests through for each ticket.
function operations.G(q, now, _, numbers)
  advance(q, now, 0.0)
  for i = #numbers - 2, 1, -3 do
    local epoch, amount, through = numbers[i], numbers[i + 1], numbers[i + 2]
    window.put_back(q.request_window, 1)
    window.put_back(q.token_window, amount)
    if epoch >= q.epoch then
      local last = through == q.requests.reserved
      put_back(q.requests, 1)
      if last then
        q.requests.reserved = q.requests.reserved - 1
        q.requests.barrier = math.min(q.requests.barrier, q.requests.reserved)
      end
      put_back(q.tokens, amount)
      if last then
        q.tokens.reserved = q.tokens.reserved - amount
        q.tokens.barrier = math.min(q.tokens.barrier, q.tokens.reserved)
      end
    end
  end
  return {}
end

-- Settle one answer: the ticket's epoch, time, tokens, requests through and tokens through; when it
-- was sent, whether it was admitted; limits and what remains of requests and tokens; the usage; when
-- requests and tokens are reset, to what that is rounded, and when to come back, all in seconds. (A
-- worker of before the windows does not tell the last four.)
function operations.S(q, now, _, numbers)
  local epoch, send_at, amount, requests_through, tokens_through, sent_at, admitted_flag,
    limit_requests, limit_tokens, remaining_requests, remaining_tokens, used,
    reset_requests, reset_tokens, step, retry = unpack(numbers)
  local admitted = admitted_flag ~= 0
  recover(q, now)
  if now - q.at > SETTLE_SECONDS then
    advance(q, now, 0.0)
  end
  local requests, tokens = q.requests, q.tokens
  for _, pair in ipairs({{requests, given(limit_requests)}, {tokens, given(limit_tokens)}}) do
    local b, limit = pair[1], pair[2]
    if limit and is_limit(limit) and limit / MINUTE ~= b.limit then
      set_rate(b, b.ceiling, limit / MINUTE)
      set_guess(requests, INF)
      forget(q.refusals)
      window.forget(q.request_window)
      window.forget(q.token_window)
    end
  end
  local taken = amount
  if given(used) and not tokens.told then
    taken = used
  end
  count(q.refusals, taken, send_at, admitted)
  local requests_left, tokens_left = given(remaining_requests), given(remaining_tokens)
  local nobody_says = not requests_left and not tokens_left
  local looks = not admitted
  if admitted then
    window.answered(q.request_window, now, send_at, sent_at, 1, requests_left)
    window.answered(q.token_window, now, send_at, sent_at, amount, tokens_left)
    local windowed = q.request_window.kind ~= NO_WINDOW or q.token_window.kind ~= NO_WINDOW
    if not nobody_says and (windowed or now >= q.looked_at + LOOK_SECONDS) then
      q.looked_at, looks = now, true
    end
  end
  if looks then
    learn_window(
      q, now, q.request_window, requests, epoch, send_at, sent_at, admitted, 1, requests_through,
      requests_left, given(reset_requests), step or 0.0, given(retry),
      nobody_says or (requests_left and requests_left < 1))
    learn_window(
      q, now, q.token_window, tokens, epoch, send_at, sent_at, admitted, amount, tokens_through,
      tokens_left, given(reset_tokens), step or 0.0, given(retry),
      nobody_says or (tokens_left and tokens_left < amount))
  end
  if epoch < q.epoch then
    return {}
  end
  q.taught = true
  q.probe_until = -INF
  local elapsed = q.at - sent_at
  q.quick = math.min(q.quick, math.max(now - sent_at, 0.001))
  if not admitted then
    put_back(requests, 1)
    put_back(tokens, amount)
  end
  if given(remaining_requests) then
    observe(requests, remaining_requests, 1, requests_through, elapsed, admitted)
  end
  if given(remaining_tokens) then
    observe(tokens, remaining_tokens, amount, tokens_through, elapsed, admitted)
  end
  if admitted and given(used) then
    if tokens.told then
      charge(tokens, amount, used)
    else
      put_back(tokens, amount - used)
    end
  end
  if requests_through > requests.barrier then
    count_answer(q, now)
  end
  return {}
end

-- Pause: the ticket's epoch, until when, whether slowly. Returns whether it began an epoch.
function operations.P(q, now, _, numbers)
  local epoch, until_, slowly = numbers[1], numbers[2], numbers[3] ~= 0
  recover(q, now)
  local opens = epoch >= q.epoch
  if slowly then
    forget(q.refusals)
  end
  q.paused_until = math.max(q.paused_until, until_, now)
  if opens then
    q.epoch = q.epoch + 1
    q.request_window.ramped, q.token_window.ramped = 0.0, 0.0
    q.bound = true
    q.at = q.paused_until
    if q.explained < epoch then
      lower(q, now)
    end
    start_window(q, now)
  end
  if slowly then
    q.recovery = SLOW_RECOVERY
  end
  if opens or q.at < q.paused_until then
    q.at = q.paused_until
    empty(q.requests)
    empty(q.tokens)
  end
  return {opens and 1 or 0}
end

-- Looking changes nothing.
function operations.L()
  return {}
end
