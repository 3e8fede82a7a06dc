"""``batcher.toml`` in the working directory: settings, profiles and providers, as plain tables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from batcher.core.errors import UsageError
from batcher.core.job.providers import DEFAULT, ProviderConfig

CONFIGURATION: Final = Path("batcher.toml")
PROVIDERS: Final = "providers"


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path} cannot be read: it is not UTF-8") from exc
    except RecursionError as exc:
        raise UsageError(f"{path} is nested too deep") from exc
    except ValueError as exc:  # TOML's own, and that of a number with thousands of digits
        raise UsageError(f"{path} is not valid TOML: {exc}") from exc


def read_providers(environment: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """The providers that are configured here, by name; ``default`` is always one of them.

    Unless the file says otherwise, that is where the environment says that the API is.

    Raises:
        UsageError: the file cannot be read, or one of them is wrong.
    """
    tables: Any = {}
    if CONFIGURATION.is_file():
        tables = read_toml(CONFIGURATION).get(PROVIDERS, {})
    if not isinstance(tables, Mapping):
        raise UsageError(f"{CONFIGURATION}: [providers.NAME] are tables")
    found = {}
    if DEFAULT not in tables:
        base_url = environment.get("BATCHER_BASE_URL") or environment.get("OPENAI_BASE_URL")
        said = {
            "base_url": base_url,
            "api_version": environment.get("BATCHER_API_VERSION"),
            "api_key_env": environment.get("BATCHER_API_KEY_ENV"),
        }
        found[DEFAULT] = ProviderConfig.of_table(
            DEFAULT, {key: value for key, value in said.items() if value}
        )
    for name, table in tables.items():
        try:
            found[name] = ProviderConfig.of_table(name, table)
        except UsageError as error:
            raise UsageError(f"{CONFIGURATION}: {error}") from error
    return found
