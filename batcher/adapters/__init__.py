"""The ports made real. Nothing here decides what becomes of a row.

- :mod:`.destinations`: Where results go: files that are complete or absent.
- :mod:`.doorbell`: arq as a doorbell: a job id in a queue, and nothing else.
- :mod:`.formats`: What reading and writing share: names of formats, JSON, the types of Arrow.
- :mod:`.observability`: What a worker shows of itself: a log, metrics, health, traces.
- :mod:`.providers`: The API: requests over HTTP, credentials, prices of models, tokens.
- :mod:`.sources`: Where rows come from: files, URLs, and what a program hands over.
- :mod:`.store`: Where jobs, shards and results are kept: SQLite or Postgres through SQLAlchemy, or
  memory.
- :mod:`.system`: The machine and the process: time, files of state, locks, installed kinds.
- :mod:`.throttle`: Throttles: in the memory of one process, or in a Redis that many share.
"""
