"""One worker of many: the jobs that it serves, and what it does beside them.

- :mod:`.background_work`: What a worker does beside the jobs that it serves: fire schedules, open
  jobs, plan, deliver.
- :mod:`.failed_runs`: How often in a row a worker has failed to run a job, with nothing done in
  between.
- :mod:`.order_opener`: What a worker does so that there is a job: it checks the input of an order,
  opens the job, plans.
- :mod:`.worker`: One worker of a fleet: serves every job that it is told of, and finds those that
  nobody told.
- :mod:`.worker_telemetry`: What a worker tells of itself: to a log and to its metrics, and whether
  it hears the database.
"""
