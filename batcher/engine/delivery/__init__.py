"""Results out of the store: as files, and as values.

- :mod:`.deliverer`: What one process does so that complete jobs are delivered: each under a lease,
  by one at a time.
- :mod:`.exporter`: From checkpoints to records: results in input order, a shard at a time.
- :mod:`.files`: A job's results as files: errors, output, manifest, in this order, each complete or
  absent.
- :mod:`.overwriting`: Where an output goes, and whether what stands there may be replaced.
- :mod:`.piece_results`: What a shard's checkpoints hold of its pieces: their vectors and objects,
  piece by piece.
- :mod:`.read_ahead`: Reading ahead: what comes next is read while what came before is being used.
- :mod:`.records`: A job's records as values: batch by batch, one by one, or as one table.
- :mod:`.selection`: Some of a job's records: from a row on, or of one id; the rest of the job is
  not read.
"""
