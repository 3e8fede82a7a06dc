"""The machine and the process: time, files of state, locks, installed kinds.

- :mod:`.allocator`: Memory that is given back to the system when it is freed.
- :mod:`.clock`: Real time.
- :mod:`.configuration`: ``batcher.toml`` in the working directory: settings, profiles and
  providers, as plain tables.
- :mod:`.cron`: Due times from a cron expression in a time zone, by cronsim, which does as Debian's
  cron does.
- :mod:`.env_file`: Settings from a file of ``NAME=VALUE`` lines, as ``.env`` files are.
- :mod:`.connectors`: Sources and destinations found through entry points, by scheme and suffix.
- :mod:`.installed_kinds`: Job kinds found through the entry point group ``batcher.kinds``.
- :mod:`.job_lock`: One process a job on one machine: an operating system's lock on a file beside
  the database.
- :mod:`.meanwhile`: Imports in a thread, of what takes long and is needed in a moment.
- :mod:`.planner_process`: A process that plans: started here, and spoken to through its standard
  input and output.
- :mod:`.private_files`: Files of state that nobody else may read: they hold rows, prompts and
  results.
- :mod:`.reach_guards`: What a worker's operator has allowed, held to where files are opened and
  names are looked up.
- :mod:`.row_guard`: A row's limit of time, kept by a thread that looks twice a second.
- :mod:`.row_index`: The index of a former job's rows, in an SQLite file without a name: it goes
  with the process.
"""
