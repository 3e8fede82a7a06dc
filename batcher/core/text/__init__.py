"""Texts: JSON exactly and leniently, keys struck out, and what may be printed.

- :mod:`.content_coding`: The names of what a body is compressed with, as `Content-Encoding` lists
  them (RFC 9110, 8.4).
- :mod:`.exactjson`: JSON of any value, exactly: integers and exponents of any size, and every text
  that Python holds.
- :mod:`.inert`: Texts from outside, as they may be printed: they move no cursor, forge no line,
  hide nothing.
- :mod:`.lenient`: The second, lenient reading of an answer that was paid for and is nearly JSON.
- :mod:`.near`: What a name that nobody knows was probably meant to be: a slip, or another tool's
  word for it.
- :mod:`.redaction`: Striking keys from what others say: a provider, a gateway, a proxy, an
  operating system.
"""
