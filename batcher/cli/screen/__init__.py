"""The progress of a run, on a terminal, in a notebook, or a line now and then.

- :mod:`.fitting`: Lines that fit a width: what matters least is said more briefly, then left out.
- :mod:`.gauge`: From a run's live counters to what people want to know: how fast, how long, how
  dear.
- :mod:`.live_view`: The live view of a run on a terminal: a few lines that no terminal of 40
  columns has to wrap.
- :mod:`.notebook`: Progress in a notebook: one output cell that is drawn anew, with a bar and a
  line of words.
- :mod:`.progress`: Feeding a screen while a run goes on. A screen that cannot be written to never
  ends a run.
- :mod:`.screens`: Where progress appears: live on a terminal and in a notebook, else a line now and
  then.
- :mod:`.tqdm_bar`: A bar of tqdm's, for those who have it and are used to it.
- :mod:`.words`: A reading in words: what the plain progress line says, and what both views say of
  trouble.
"""
