"""Options and arguments: where their values come from, and how help reads.

- :mod:`.command`: The commands about one job that is there already: what they have in common.
- :mod:`.command_line`: A command line that can be copied, from a job's description.
- :mod:`.help_text`: How help reads: options under headings, and examples that can be copied.
- :mod:`.job`: The options that describe a job, as ``run`` and ``estimate`` share them.
- :mod:`.kind`: The options that a kind declares, as the command line takes them.
- :mod:`.kind_group`: A group with one command for each installed kind, and with job files in a
  kind's place.
- :mod:`.layers`: Settings that stand in files: a job file, and ``batcher.toml`` with its profiles.
- :mod:`.lazy_group`: A group whose commands are imported when they are asked for, and listed
  without being so.
- :mod:`.setting`: An option whose value comes from a flag, a job file, the environment, a profile
  or its default.
- :mod:`.shared`: The options of every command that has to do with jobs: ``--json``, ``--profile``
  and ``--db``.
- :mod:`.suggestions`: What a shell is offered to complete a word with: columns, jobs, names,
  profiles and files.
- :mod:`.typed`: The command line as it was typed, to be said again.
- :mod:`.variables`: Variables of the environment that look like settings and are none.
"""
