-- batcher/core/throttle/sharing.py once more: whose turn it is.

local HORIZON_SECONDS, LEND_SECONDS, LEAD_SECONDS = 2.0, 0.75, 0.25
local RENEW_SECONDS, GRACE_SECONDS = 1.0, 0.5

-- A member is {name of its job, weight, worker, tag, until, wants}, in the order of arrival.
local JOB, WEIGHT, WORKER, TAG, UNTIL, WANTS = 1, 2, 3, 4, 5, 6

local function find(s, job, weight, worker)
  for _, member in ipairs(s.members) do
    if member[JOB] == job and member[WEIGHT] == weight and member[WORKER] == worker then
      return member
    end
  end
end

local function weight_of(s, member)
  local workers = 0
  for _, other in ipairs(s.members) do
    if other[JOB] == member[JOB] then
      workers = workers + 1
    end
  end
  return member[WEIGHT] / workers
end

local function total_weight(s)
  local total = 0
  for _, member in ipairs(s.members) do
    total = total + weight_of(s, member)
  end
  return total
end

local function drop_silent(s, now, asking)
  local kept = {}
  for _, member in ipairs(s.members) do
    if member[UNTIL] >= now or member == asking then
      kept[#kept + 1] = member
    end
  end
  s.members = kept
end

local function move_on(s, now)
  if #s.members > 1 then
    local total = total_weight(s)
    s.shared = s.shared + math.max(0.0, now - s.shared_at) / total
    local least = INF
    for _, member in ipairs(s.members) do
      least = math.min(least, member[TAG])
    end
    s.shared = math.max(s.shared, least - HORIZON_SECONDS / total)
    for _, member in ipairs(s.members) do
      if member[WANTS] and member[TAG] < s.shared then
        s.shared = member[TAG]
      end
    end
  end
  s.shared_at = math.max(s.shared_at, now)
end

local function enter(s, now, job, weight, worker, ahead)
  local member = find(s, job, weight, worker)
  if not member or #s.members > 1 then
    drop_silent(s, now, member)
    move_on(s, now)
    if not member then
      if #s.members == 1 then
        local sole = s.members[1]
        sole[TAG] = s.shared + math.max(0.0, ahead) / sole[WEIGHT]
      end
      member = {job, weight, worker, s.shared, now, false}
      s.members[#s.members + 1] = member
    end
  end
  if #s.members == 1 then
    return member, nil
  end
  member[TAG] = math.max(member[TAG], s.shared)
  local total = total_weight(s)
  local others = INF
  for _, other in ipairs(s.members) do
    if other ~= member then
      others = math.min(others, other[TAG])
    end
  end
  return member, {
    now = now, weight = weight_of(s, member), shared = s.shared, total = total,
    limit = math.max(s.shared, others) + HORIZON_SECONDS / total,
  }
end

local function reach(turn, member)
  return turn.now + (member[TAG] < turn.limit and HORIZON_SECONDS or LEND_SECONDS)
end

local function charge_turn(turn, member, seconds)
  local tag = math.min(member[TAG], turn.limit) + seconds / turn.weight
  member[TAG] = math.max(member[TAG], tag)
end

local function come_back_at(turn, member, base)
  if member[TAG] < turn.limit then
    return base - HORIZON_SECONDS / 2
  end
  local renewed = turn.now + (member[TAG] - turn.shared) * turn.total - RENEW_SECONDS
  return math.min(renewed, base - LEAD_SECONDS, turn.now + HORIZON_SECONDS)
end

local function leave(member, until_, wants)
  member[UNTIL], member[WANTS] = until_, wants
end
