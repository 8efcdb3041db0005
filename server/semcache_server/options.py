"""The options of `semcache_server`, and the configuration that they ask for."""

from __future__ import annotations

import argparse
from ipaddress import ip_address
from pathlib import Path

from semcache.compat_headers import GATEWAYS, check_gateways
from semcache.config import Config, default_config
from semcache.config_sections import ServerSection
from semcache.errors import ConfigError


def parser() -> argparse.ArgumentParser:
    """The options; those of gptcache_server keep their names."""
    options = argparse.ArgumentParser(
        prog="semcache_server",
        description="A semantic response cache in front of an LLM, as an OpenAI-compatible server.",
        epilog="Options override the configuration file; without one the defaults apply.",
    )
    options.add_argument("-s", "--host", help="the hostname to listen on (localhost)")
    options.add_argument("-p", "--port", type=int, help="the port to listen on (8000)")
    options.add_argument(
        "-d", "--cache-dir", type=Path, metavar="DIR", help="the data directory (semcache_data)"
    )
    options.add_argument(
        "-k", "--cache-file-key", default="", metavar="KEY", help="allow /cache_file?key=KEY"
    )
    options.add_argument(
        "-f", "--cache-config-file", type=Path, metavar="FILE", help="cache_config.yaml"
    )
    options.add_argument(
        "-o",
        "--openai",
        nargs="?",
        const=True,
        default=False,
        type=_truth,
        metavar="BOOL",
        help="answer what no engine answers from the OpenAI API (key: OPENAI_API_KEY)",
    )
    options.add_argument(
        "-of",
        "--openai-cache-config-file",
        type=Path,
        metavar="FILE",
        help="gptcache_server's name for -f with -o; one cache serves both here",
    )
    options.add_argument(
        "--knowledge", type=Path, metavar="FOLDER", help="a folder of documents to answer from"
    )
    options.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond this machine without server.keys: whoever reaches the port may ask",
    )
    options.add_argument(
        "--compat-headers",
        type=_names,
        metavar="NAME,…",
        help=f"answer with the headers of other gateways too: {', '.join(GATEWAYS)}",
    )
    options.add_argument(
        "--workers", type=int, metavar="N", help="processes that serve the port (1)"
    )
    options.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="(warning)"
    )
    return options


def configured(args: argparse.Namespace) -> Config:
    """The configuration that the command line asks for. Raises ConfigError."""
    file = args.cache_config_file or args.openai_cache_config_file
    if args.openai_cache_config_file not in (None, file):
        raise ConfigError("-f and -of name two files, but one cache serves both: name one file.")
    config = default_config() if file is None else Config.from_file(file)
    config = config.with_overrides(
        data_dir=args.cache_dir,
        knowledge=args.knowledge,
        host=args.host,
        port=args.port,
        log_level=args.log_level,
        workers=args.workers,
        compat_headers=args.compat_headers,
    )
    return config.with_openai() if args.openai else config


def checked(args: argparse.Namespace) -> Config:
    """The configuration, if it may be served. Raises ConfigError."""
    config = configured(args)
    require_keys(config.server, insecure=args.insecure)
    return config


def require_keys(server: ServerSection, *, insecure: bool) -> None:
    """A server that others can reach lets nobody in without a key. Raises ConfigError."""
    if server.keys or server.pass_through or insecure or _is_loopback(server.host):
        return
    raise ConfigError(
        f"'{server.host}' can be reached from other machines, and no keys are configured: make "
        "some with `semcache key NAME` and put them into 'server.keys', or say --insecure."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.lower().replace(" ", "").split(",") if name)
    try:
        check_gateways(names)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def _truth(text: str) -> bool:
    return text.strip().lower() not in {"", "0", "false", "no", "off"}
