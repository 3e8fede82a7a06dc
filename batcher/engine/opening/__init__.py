"""From a spec to a job: bind, check, estimate, preview; open it, or have a worker open it.

- :mod:`.binding`: From a spec to a job that can be run: bind, check the input, take its
  fingerprint.
- :mod:`.destination`: Where the results of a job go that others will deliver: checked here, and set
  once it is open.
- :mod:`.estimate`: What a job would take: planned in full, and nothing sent or kept.
- :mod:`.firing`: Schedules that are due: decided by values, fired by the store, by whichever worker
  is first.
- :mod:`.intake`: From a spec to a job in the store: bind its kind, check its input, find the job or
  make it.
- :mod:`.option_texts`: The texts of a spec and its options: what is a file's, what the text itself,
  and what none.
- :mod:`.orders`: Asking workers to open a job, and hearing what came of it.
- :mod:`.preview`: The exact requests of a few rows, and their answers where they are wanted;
  nothing is kept.
- :mod:`.schedules`: Everything that can be done with schedules, but firing them when they are due.
- :mod:`.submission`: A job put into the store for workers to find: planned here, where its input
  is.
"""
