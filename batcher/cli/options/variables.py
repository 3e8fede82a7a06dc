"""Variables of the environment that look like settings and are none: told, and never an error."""

from __future__ import annotations

import os
from collections.abc import Iterator

from batcher.cli.failure import say
from batcher.core.text.near import meant

_PREFIX = "BATCHER_"
NAMES = frozenset(
    """
    AFTER ALLOW_DESTINATION ALLOW_SOURCE API_KEY_ENV API_VERSION BASE_URL CONCURRENCY CONFIDENCE
    CONSTANT_PROMPT COST_COLUMNS CSV_SAFE DATABASE_TIMEOUT DATABASE_URL DB DEBUG DELIMITER
    DIMENSIONS ENCODING ENV_FILE FAILED_ROWS FORMAT FRESH GRACE_SECONDS HEADER HEALTH_HOST
    HEALTH_PORT ID IDEMPOTENCY_HEADER INSTRUCTIONS JOBS_AFTER JOBS_KIND JOBS_LIMIT JOBS_NAME
    JOBS_SINCE JOBS_STATE JSON LABEL LABELS LABELS_FILE LEASE_SECONDS LIMIT LOG_FORMAT LOG_LEVEL
    MAX_ANSWER_BYTES MAX_COST MAX_INPUTS MAX_INPUT_BYTES MAX_INPUT_TOKENS MAX_REQUEST_TOKENS
    MAX_TOKENS MISSED MODEL NAME NO_KEEP_INPUT OLDER_THAN ON_BAD_ROW ON_ERROR OUTAGE_TIMEOUT
    OUTPUT OUTPUT_FORMAT OVERLAP OVERLONG OVERWRITE PARAM PARTIAL PRICE PRIORITY PROFILE
    PROGRESS PROMPT PROVIDER QUIET RECORD RECORD_REQUESTS REDIS_URL RETRY_CODE RPM SCHEDULE_NAME
    SEND SERVER_SIDE SERVICE_TIER SIMULATE SIMULATE_API_KEY SIMULATE_BUCKET_SECONDS
    SIMULATE_CACHED_SHARE SIMULATE_CACHE_WRITTEN_SHARE SIMULATE_CHARGE SIMULATE_CONTEXT_WINDOW
    SIMULATE_DIMENSIONS SIMULATE_DISCONNECT_RATE SIMULATE_ERRORS SIMULATE_FAULTS
    SIMULATE_GARBAGE_RATE SIMULATE_HANG_RATE SIMULATE_HOST SIMULATE_IDEMPOTENCY SIMULATE_LATENCY
    SIMULATE_LATENCY_SPREAD SIMULATE_LIMIT_SHAPE SIMULATE_LIMIT_UNIT SIMULATE_MAX_INPUTS
    SIMULATE_MAX_INPUT_TOKENS SIMULATE_MAX_REQUEST_TOKENS SIMULATE_NO_HEADERS
    SIMULATE_NO_RETRY_AFTER SIMULATE_NO_USAGE SIMULATE_OUTAGE SIMULATE_OUTPUT_TOKENS
    SIMULATE_PORT SIMULATE_PORT_FILE SIMULATE_PROJECT_TIER SIMULATE_REASONING_TOKENS
    SIMULATE_REJECTED_TOKENS SIMULATE_RPM SIMULATE_SEED SIMULATE_TOKENIZER SIMULATE_TPM
    SIMULATE_WINDOW SIMULATE_WINDOW_AGE SINCE_LAST SLICE_SECONDS SYSTEM TEMPLATE TEXT TIMEOUT
    TIMEZONE TOKENIZER TPM VIA WORKER_CONCURRENCY WORKER_PROVIDERS
    """.split()
)
"""What follows the prefix, of every setting that is always there; a test holds it to the options.

To ask the commands themselves would import all of them.
"""
_told: set[str] = set()


def tell_strange_variables() -> None:
    """Say of each variable that no command reads what was probably meant, once."""
    for variable in strange_variables():
        if variable not in _told:
            _told.add(variable)
            known = meant(variable.removeprefix(_PREFIX), {name.lower() for name in NAMES})
            hint = f" (did you mean {_PREFIX}{known.upper()}?)" if known else ""
            say(f"note: {variable} in the environment is no setting{hint}")


def strange_variables() -> Iterator[str]:
    """The variables with our prefix that are no setting, nor an option of an installed kind."""
    strange = sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and value and name.removeprefix(_PREFIX) not in NAMES
    )
    if strange:
        of_kinds = _of_kinds()
        yield from (name for name in strange if name not in of_kinds)


def _of_kinds() -> set[str]:
    from batcher.adapters.system.installed_kinds import InstalledKinds
    from batcher.core.errors import BatcherError
    from batcher.core.options import option_keys

    kinds, names = InstalledKinds(), set()
    for kind in kinds.names():
        try:
            for option in kinds.get(kind).options:
                names |= {_PREFIX + key.upper() for key in option_keys(option)}
        except BatcherError:
            continue
    return names
