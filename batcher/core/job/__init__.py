"""What a job is told to be, and which job it is.

- :mod:`.delivery`: Where a job's results go: what its command says of that, and when a delivery is
  tried again.
- :mod:`.description`: What the store keeps of a job's meaning, so that others can go on with it
  without its files.
- :mod:`.description_parts`: The parts of a job's description: its work, its input, its provider and
  its delivery.
- :mod:`.filter`: Which jobs are wanted of all that there are.
- :mod:`.fingerprint`: Which runs are the same job, and which rows are the same work: hashes over
  what shapes them.
- :mod:`.idempotency`: Idempotency keys: what makes two requests the same, and how a server says
  that it repeats itself.
- :mod:`.providers`: Providers by name: what ``[providers.NAME]`` of ``batcher.toml`` says, and jobs
  that choose one.
- :mod:`.reach`: What a worker lets jobs reach: providers, inputs, outputs.
- :mod:`.schedule`: When a schedule fires: which of its due times counts, what of an outage is made
  up for.
- :mod:`.since`: What an incremental job is compared with, and what came of it.
- :mod:`.spec`: The settings of a job: what a command line, a job file and the Python API all
  become.
- :mod:`.urls`: URLs: whether one can be where an API is, or an input; and how it may be shown.
"""
