"""One job as values: its description, its endings, its report, its results.

- :mod:`.delivery_report`: What is said of a delivery: where it goes, how it stands, what was
  written.
- :mod:`.endings`: How a run ends: why, with which state of the job, and with which exit code.
- :mod:`.listing`: Reports of jobs: of one, and of many by as few questions.
- :mod:`.purging`: Which jobs may be deleted, and their deletion.
- :mod:`.report`: What is said of a job after the fact: the manifest, and the status of a job.
- :mod:`.report_page`: A report as HTML, for notebooks: its figures, and the first results. Every
  value is escaped.
- :mod:`.results`: The results of a job as values, one for each output record; and how they are
  reached.
- :mod:`.unsent`: Jobs that never got anything sent: a newer attempt replaces them, so they do not
  pile up.
"""
