"""What a name that nobody knows was probably meant to be: a slip, or another tool's word for it.

Names here are those of Python and of files, with ``_``; a flag is the same with ``-``.
"""

from __future__ import annotations

from collections.abc import Collection

_OTHER_WORDS = {
    "api_base": "base_url",
    "api_key": "api_key_env",
    "batch_size": "max_inputs",
    "budget": "max_cost",
    "categories": "labels",
    "classes": "labels",
    "col": "text",
    "column": "text",
    "columns": "text",
    "content": "text",
    "endpoint": "base_url",
    "field": "text",
    "force": "overwrite",
    "id_column": "id",
    "input_column": "text",
    "key": "api_key_env",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_parallel": "concurrency",
    "max_requests_per_minute": "rpm",
    "max_tokens_per_minute": "tpm",
    "max_workers": "concurrency",
    "messages": "prompt",
    "model_name": "model",
    "n": "limit",
    "out": "output",
    "parallel": "concurrency",
    "rate_limit": "rpm",
    "requests_per_minute": "rpm",
    "restart": "fresh",
    "system_prompt": "system",
    "text_column": "text",
    "tokens_per_minute": "tpm",
    "url": "base_url",
    "user_prompt": "prompt",
    "workers": "concurrency",
}
_OF_REQUESTS = frozenset(
    """
    frequency_penalty logit_bias metadata min_p modalities parallel_tool_calls prediction
    presence_penalty prompt_cache_key reasoning reasoning_effort response_format
    safety_identifier seed stop store temperature tool_choice tools top_k top_p user verbosity
    """.split()
)


def meant(name: str, known: Collection[str]) -> str | None:
    """The name among ``known`` that was probably meant, however it was written; or None."""
    plain = name.replace("-", "_").lower().strip("_")
    if plain in known:
        return plain
    if (word := _OTHER_WORDS.get(plain)) in known:
        return word
    from difflib import get_close_matches  # takes a while to import

    close = get_close_matches(plain, list(known), n=1)
    return close[0] if close else None


def is_request_parameter(name: str) -> bool:
    """Whether a name is one that requests know, and that goes with ``params``."""
    return name.replace("-", "_").lower() in _OF_REQUESTS
