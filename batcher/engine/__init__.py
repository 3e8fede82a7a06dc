"""Plan rows into shards, send their requests, deliver their results. An arrow points only downward.

- :mod:`.budget`: Whether there is money left for what is to be sent.
- :mod:`.byte_room`: Memory for answers and results: bytes that a process holds between the wire and
  the disk.
- :mod:`.delivery`: Results out of the store: as files, and as values.
- :mod:`.fleet`: One worker of many: the jobs that it serves, and what it does beside them.
- :mod:`.job`: One job as values: its description, its endings, its report, its results.
- :mod:`.jobs`: What is done with jobs that are there: looking at them, and acting on them. Nothing
  is sent.
- :mod:`.kept_lease`: A lease that is kept for as long as something goes on under it.
- :mod:`.left_alone`: What a process leaves alone for a while, since it may not do it, or has failed
  at it.
- :mod:`.loop_thread`: An event loop on a thread of its own, for callers who have none, or whose own
  is running.
- :mod:`.opening`: From a spec to a job: bind, check, estimate, preview; open it, or have a worker
  open it.
- :mod:`.planning`: Rows into shards, and the writer of the plan.
- :mod:`.requests`: From a call to a request's body: its tokens, its worst case, its idempotency
  key.
- :mod:`.result_access`: The results of jobs for whoever holds their reports: read from the
  database, and waited for.
- :mod:`.reuse`: Rows that need no request, since their results are there.
- :mod:`.routes`: How requests reach the provider, and answers come back. One folder each.
- :mod:`.runner`: Everything that can be done with jobs, as one object: what the command line and
  the API call.
- :mod:`.running`: One run of one job: its parts, the shards that it holds, and its end.
- :mod:`.services`: All that the engine reaches the world by; chosen in :mod:`batcher.wiring`.
- :mod:`.settling`: What an answer or a failure does: results, dead letters, repairs, another try, a
  pause.
- :mod:`.shards`: A leased shard at work: its plan, its calls, its checkpoints.
- :mod:`.telemetry`: What is told: figures, events, traces and metrics.
- :mod:`.wakeup`: Waiting for news or for a time, whichever is first: the one place where the engine
  waits.
"""
