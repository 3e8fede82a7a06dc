"""What failures mean: reading them, a verdict for each, and whether all are refused.

- :mod:`.error_body`: The error in a body, in every dialect: where code, type, param and message
  stand.
- :mod:`.error_words`: What an error means by its words, where no status or code says it, or a wrong
  one does.
- :mod:`.foreign_body`: What a 200 is that holds no JSON object: a web page, an event stream, a
  list, half an object.
- :mod:`.outage`: Whether failures are a request's own or everybody's.
- :mod:`.own_parameters`: What a refusal of a request parameter means that the request's rows have
  of their own.
- :mod:`.reading`: Reading errors: what a provider, a gateway or a proxy said, in its body and in
  its headers.
- :mod:`.unforeseen`: What may be said of an exception that nobody foresaw: its type, and where it
  was raised.
- :mod:`.unusable`: When answers that are paid for give no result so regularly that none will.
- :mod:`.vector_lengths`: When a length may be believed: two different requests must have given
  vectors of it.
- :mod:`.verdicts`: The one retry authority: what each failure means, as a value that the caller
  acts on.
"""
