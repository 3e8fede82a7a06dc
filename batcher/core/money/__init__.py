"""What tokens are billed, what they cost, and how many are to be expected.

- :mod:`.expected_tokens`: How many tokens to expect: of an output without a limit, and of a prompt
  as a provider counts.
- :mod:`.prices`: What tokens cost, in exact arithmetic: prices per token in, money per request out.
- :mod:`.usage`: What an answer says it is billed for, in the words of the providers and gateways
  there are.
"""
