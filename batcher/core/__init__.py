"""What is decided without time, chance or I/O: values in, decisions out.

- :mod:`.answerbound`: How long an answer can be that must have a form: one of some texts, or what a
  JSON Schema allows.
- :mod:`.answers`: Reading chat completions: what every chat-shaped kind needs of an answer, and
  nothing more.
- :mod:`.errors`: Every error of the product, split by whose fault it is.
- :mod:`.failures`: What failures mean: reading them, a verdict for each, and whether all are
  refused.
- :mod:`.finish_reason`: Why an answer ended: the ``finish_reason`` of every dialect as one of six
  meanings.
- :mod:`.job`: What a job is told to be, and which job it is.
- :mod:`.kind`: What a job kind must say about itself: options, rendering, request bodies, reading
  answers.
- :mod:`.kind_optional`: What a kind may say of itself beyond what every kind must.
- :mod:`.labels`: Which one label of a set a text names, where a server does not enforce the form of
  an answer.
- :mod:`.labelshare`: How probable a label is among the labels, from an answer's logprobs.
- :mod:`.limits`: What a provider allows in one request, and how large an answer to it can be.
- :mod:`.model`: The nouns that everything else speaks of: jobs and their states, rows, pieces, what
  was spent.
- :mod:`.money`: What tokens are billed, what they cost, and how many are to be expected.
- :mod:`.options`: Checking a kind's options: one function, so that every kind's errors read alike.
- :mod:`.packing`: Which pieces go into which request, and which requests into which shard.
- :mod:`.progress`: What is done of a shard, as a fold over the events of its checkpoints.
- :mod:`.row`: What one row's request has of its own: parameters and files.
- :mod:`.text`: Texts: JSON exactly and leniently, keys struck out, and what may be printed.
- :mod:`.throttle`: How fast: the limits of a quota, who shares it, and what answers teach of it.
"""
