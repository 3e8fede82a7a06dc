"""One module for each command that makes jobs, serves them, or stands for itself.

- :mod:`.completion`: ``batcher completion``.
- :mod:`.database`: ``batcher db``.
- :mod:`.estimate`: ``batcher estimate``.
- :mod:`.jobs`: One module for each command about jobs that are there already.
- :mod:`.preview`: ``batcher preview``.
- :mod:`.providers`: ``batcher providers``.
- :mod:`.run`: ``batcher run``.
- :mod:`.schedule`: ``batcher schedule``.
- :mod:`.simulate`: ``batcher simulate``.
- :mod:`.submit`: ``batcher submit``.
- :mod:`.worker`: ``batcher worker``.
- :mod:`.workers`: ``batcher workers``.
"""
