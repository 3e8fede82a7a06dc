"""The options of every command that has to do with jobs: ``--json``, ``--profile`` and ``--db``."""

from __future__ import annotations

import os

import click

from batcher.adapters.system.env_file import load_env_file
from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.cli.options.job import job_options, output_options, run_options
from batcher.cli.options.layers import layers_of, read_profile
from batcher.cli.options.setting import Setting
from batcher.cli.options.variables import tell_strange_variables
from batcher.core.errors import BatcherError
from batcher.core.options import option_keys


def shared_options(json_help: str | None) -> list[Setting]:
    """What every command with a job has; ``--json`` where it is said what that prints."""
    database = [database_option(), database_timeout_option()]
    as_json = [] if json_help is None else [json_option(json_help)]
    return [*as_json, env_file_option(), profile_option(), *database, redis_option()]


def env_file_option() -> Setting:
    """``--env-file``, read before whatever the environment may say."""
    return Setting(
        "--env-file",
        metavar="FILE",
        is_eager=True,
        callback=_load_env_file,
        help="Read NAME=VALUE lines into the environment first, such as a .env file's; what is set "
        "already stays.",
        default_text="none",
    )


def profile_option() -> Setting:
    """``--profile``, read before the options that it fills."""
    return Setting(
        "--profile",
        metavar="NAME",
        is_eager=True,
        callback=_load_profile,
        help="Take settings from [profiles.NAME] in batcher.toml; [defaults] there holds always.",
    )


def database_option() -> Setting:
    """``--db``."""
    return Setting(
        "--db",
        metavar="URL",
        envvar=["BATCHER_DATABASE_URL", "BATCHER_DB"],
        help="The database: a path, sqlite:///PATH, or postgresql://USER@HOST/DATABASE.",
        default_text=".batcher/batcher.db",
    )


def database_timeout_option() -> Setting:
    """``--db-timeout``."""
    return Setting(
        "--db-timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        default=300.0,
        envvar="BATCHER_DATABASE_TIMEOUT",
        help="How long to wait for a Postgres that goes away.",
        default_text="300",
    )


def redis_option() -> Setting:
    """``--redis``."""
    return Setting(
        "--redis",
        metavar="URL",
        envvar="BATCHER_REDIS_URL",
        help="Redis, which wakes workers and holds their shared throttle.",
        default_text="none",
    )


def json_option(what: str) -> Setting:
    """``--json``; ``what`` it prints."""
    return Setting("--json", "as_json", is_flag=True, envvar="BATCHER_JSON", help=what)


def every_key() -> set[str]:
    """The names of all settings that files may have, for any kind."""
    registry, keys = InstalledKinds(), general_keys()
    for name in registry.names():
        try:
            for option in registry.get(name).options:
                keys |= option_keys(option)
        except BatcherError:
            continue  # a kind that cannot be imported is its own user's concern
    return keys


def general_keys() -> set[str]:
    """The names of the settings that do not belong to a kind, as files may have them."""
    return {
        option.key
        for option in (
            *job_options(),
            *output_options(),
            *run_options(),
            *shared_options(""),
        )
    }


def _load_env_file(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    """Set what the file says before any other option asks the environment."""
    del param
    if path is not None:
        load_env_file(path, os.environ)
        tell_strange_variables()
        layers_of(ctx).env_file = path
    return path


def _load_profile(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Make the profile's values known before any other option asks for them."""
    del param
    layer = read_profile(name)
    named = layer.values.get("env_file")
    if isinstance(named, str) and not layers_of(ctx).env_file:
        load_env_file(named, os.environ)
        tell_strange_variables()
        layers_of(ctx).env_file = named
    here = {param.key for param in ctx.command.params if isinstance(param, Setting)}
    if set(layer.values) - here:
        layer.check_known(every_key())
    layers_of(ctx).profile = layer
    return name
