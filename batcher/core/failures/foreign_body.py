"""What a 200 is that holds no JSON object: a web page, an event stream, a list, half an object.

A server that answers so to everything is not the API, or was asked in a way that it understands
otherwise; to wait for it to change its mind helps nobody.
"""

from __future__ import annotations

from batcher.core.text.content_coding import KNOWN, codings

_ADVICE = "check --base-url, which usually ends in /v1"


def foreign_answer(content_type: str, body: bytes, *, content_encoding: str = "") -> str:
    """What is wrong and what to do, should it be so of every answer.

    ``content_type`` and ``content_encoding`` are the headers' values, perhaps empty.
    """
    if not KNOWN.issuperset(codings(content_encoding)):
        return (
            "the server encodes its answers in a way that was not asked for (Content-Encoding): "
            f"turn that off in it or in the proxy in front of it, and {_ADVICE}"
        )
    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = content_type.partition(";")[0].strip().lower()
    if start.startswith(b"{"):
        return (
            "the server answers with JSON that cannot be read, cut off or damaged on its way: "
            "check what is between it and this machine, and --base-url"
        )
    if start.startswith(b"<") or kind == "text/html":
        return f"the server answers with a web page, not with JSON: {_ADVICE}"
    if kind == "text/event-stream" or start.startswith((b"data:", b"event:", b":")):
        return (
            "the server answers with an event stream, not with one JSON object: leave `stream` out "
            f"of --param, and {_ADVICE}"
        )
    if start.startswith(b"["):
        return f"the server answers with a JSON list, not with an object: {_ADVICE}"
    if not start:
        return f"the server answers 200 with nothing in it: {_ADVICE}"
    return f"the server answers with something that is not a JSON object: {_ADVICE}"
