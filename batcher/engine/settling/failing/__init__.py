"""What failures do: another try, halves, a dead letter, a pause, or the end of the run.

- :mod:`.failures`: What an answer does that is no success: its verdict, and who carries that out.
- :mod:`.passing_failures`: Failures that may pass: the call is sent later, in halves, or never
  again.
- :mod:`.rate_limits`: Everyone pauses once, or the job does.
- :mod:`.refusals`: A status that refuses: the call itself, or everybody.
- :mod:`.known_good`: A request that is known to be good, sent once more to tell a refused row from
  a refused key.
- :mod:`.failure_parts`: What those share who act on failed calls.
- :mod:`.verdicts`: The verdicts on calls carried out: again, halves, a dead letter, or held back.
- :mod:`.unproven_failures`: Failures held back until a success elsewhere proves that they are the
  calls' own.
- :mod:`.provider_state`: Whether the provider is out, or refuses all, as one run sees it.
- :mod:`.retries`: How a call is sent again: at once, after a while, or in halves.
- :mod:`.dead_letters`: Pieces that failed for good, with the reason, at their shards.
"""
