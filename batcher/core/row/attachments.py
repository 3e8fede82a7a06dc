"""Files that go with a row's request: what a plan keeps of one, and what a kind gets of it.

A plan keeps where a file is, how long it is and its hash, never what is in it. The engine reads it
when its request is made, and only what was planned is sent.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from mimetypes import guess_type
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from batcher.core.text import exactjson

MOST_ATTACHMENT_BYTES = 1 << 29
"""No attachment is longer, whatever its kind says."""
USUAL_ATTACHMENT_BYTES = 25_000_000
"""What OpenAI takes of an audio file (https://platform.openai.com/docs/guides/speech-to-text)."""


class KeptAttachment(NamedTuple):
    """What a plan keeps of a file: an absolute path or a URL, its length, its SHA-256 in hex."""

    address: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as a kind gets it, to be put into a request's body."""

    address: str
    content: bytes = field(repr=False)
    sha256: str = ""

    @property
    def name(self) -> str:
        """The last part of its path or URL."""
        path = self.address
        if "://" in path:
            path = unquote(urlsplit(path).path)
        return path.rpartition("/")[2] or "file"

    @property
    def content_type(self) -> str:
        """What its name says that it is."""
        return guess_type(self.name)[0] or "application/octet-stream"

    @property
    def base64(self) -> str:
        """Its content as base64."""
        return b64encode(self.content).decode()

    @property
    def data_url(self) -> str:
        """Its content as a ``data:`` URL."""
        return f"data:{self.content_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class Form:
    """A body of fields and files (``multipart/form-data``) in place of JSON.

    ``fields`` are texts, numbers, truth values, and lists of such, of which each is a field of that
    name; anything else is written as JSON. ``files`` are the names of fields, and what is in them.
    """

    fields: Mapping[str, Any] = field(repr=False)
    files: Sequence[tuple[str, Attachment]]

    def to_json(self) -> dict[str, Any]:
        """What there is to see of it: of a file its name, its length and its hash."""
        shown = dict(self.fields)
        for name, file in self.files:
            shown[name] = {
                "name": file.name,
                "bytes": len(file.content),
                "sha256": file.sha256,
                "content_type": file.content_type,
            }
        return shown


def encode_form(form: Form) -> tuple[bytes, str]:
    """The body and its content type; the same for the same form (RFC 7578)."""
    parts: list[tuple[str, bytes]] = []
    for name, value in form.fields.items():
        values = value if isinstance(value, list | tuple) else (value,)
        parts += [(f'name="{_quoted(name)}"', _field_text(one).encode()) for one in values]
    for name, file in form.files:
        head = f'name="{_quoted(name)}"; filename="{_quoted(file.name)}"'
        parts.append((f"{head}\r\nContent-Type: {file.content_type}", file.content))
    digest = blake2b(digest_size=16)
    for head, content in parts:
        digest.update(head.encode())
        digest.update(content)
    boundary = digest.hexdigest()
    chunks: list[bytes] = []
    for head, content in parts:
        chunks += [
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode(),
            content,
            b"\r\n",
        ]
    chunks.append(f"--{boundary}--\r\n".encode())
    return b"".join(chunks), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    """A name as browsers write it (WHATWG HTML, multipart form data)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _field_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return exactjson.dumps(value)
