"""One worker of many: the jobs that it serves, and what it does beside them.

- :mod:`.background_work`: What a worker does beside the jobs that it serves: fire schedules, open
  jobs, plan, deliver.
- :mod:`.order_opener`: What a worker does so that there is a job: it checks the input of an order,
  opens the job, plans.
- :mod:`.worker`: One worker of a fleet: serves every job that it is told of, and finds those that
  nobody told.
"""
