"""Reads options from the command line and from yaml files. What cannot be read is a UserError of one line."""

import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

import tyro
import yaml

from gan_dist import invocation
from gan_dist.errors import UserError, reason

SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NULL = ("", "~", "null")
REMEDIES = {"--epochs": "; --max-steps N can end a run within an epoch"}


class Options(Protocol):
    """A dataclass whose fields are dataclasses of options, or options."""

    def to_dict(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=Options)


def parse_options(args: Sequence[str], default: T, command: str = "train") -> T:
    """Parse `args`; the rest is as in `default`. --help of `command` prints and exits. Raises UserError."""
    message = io.StringIO()
    args = _read_numbers(args, _kinds(default))
    try:
        with contextlib.redirect_stderr(message):
            options, unknown = tyro.cli(
                type(default),
                args=args,
                default=default,
                prog=invocation.command(command),
                description=invocation.COMMANDS[command],
                config=(tyro.conf.OmitArgPrefixes,),
                return_unknown_args=True,
            )
    except SystemExit as exit_:
        if exit_.code == 0:
            raise
        raise UserError(f"{_unbox(message.getvalue())}; see --help") from None
    if unknown and not unknown[0].startswith("-"):
        raise UserError(f"the word {unknown[0]!r} belongs to no option; see --help")
    if unknown:
        raise unknown_option(unknown[0], default.to_dict())
    return options


def unknown_option(option: str, names: Iterable[str]) -> UserError:
    """The error for an --option that is none of `names`."""
    near = difflib.get_close_matches(option, ["--" + name for name in names], n=1)
    return UserError(f"unknown option {option}; " + (f"did you mean {near[0]}?" if near else "see --help"))


def read_recipe(recipe: str, default: T) -> T:
    """Read a preset by its name, or a yaml file; the rest is as in `default`. Raises UserError."""
    presets = {file.name.removesuffix(".yaml"): file for file in files("gan_dist").joinpath("recipes").iterdir()}
    if recipe not in presets and not recipe.endswith((".yaml", ".yml")):
        names = ", ".join(sorted(presets))
        raise UserError(f"--recipe {recipe}: no such preset; take one of {names} or a .yaml file")
    try:
        # BaseLoader leaves every word as it is written: yaml 1.1 takes `no` for a boolean and 1e3 for no number.
        options = yaml.load((presets.get(recipe) or Path(recipe)).read_text(), yaml.BaseLoader)
    except OSError as error:
        flaw = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise UserError(f"--recipe {recipe}: {flaw}; name a yaml file or one of {', '.join(sorted(presets))}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--recipe {recipe}: cannot be read as yaml ({reason(error)}); mend the file") from None
    if not isinstance(options, dict):
        raise UserError(f"--recipe {recipe}: must hold lines `option: value`; see `--print-config` for one")
    # The file's own `recipe`, if it has one, comes later and wins.
    args = ["--recipe", Path(recipe).stem, *as_words(options, default)]
    try:
        return parse_options(args, default)
    except UserError as error:
        raise UserError(f"--recipe {recipe}: {error}") from None


def as_words(options: Mapping[Any, Any], default: Options) -> list[str]:
    """{option: value} as the words of a command line; names may have underscores, values be words."""
    words = []
    switches = [option for option, (kind, _) in _kinds(default).items() if kind is bool]
    for name, value in options.items():
        option = "--" + str(name).replace("_", "-")
        if option in switches and str(value).lower() in SWITCH:
            words.append(option if SWITCH[str(value).lower()] else f"--no-{option[2:]}")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            words += [option, *("None" if str(each).lower() in NULL else str(each) for each in values)]
    return words


def _kinds(options: Options) -> dict[str, tuple[type, bool]]:
    """{--option: its type, whether it may be None} of all switches and numbers."""
    groups = [options, *(group for group in vars(options).values() if dataclasses.is_dataclass(group))]
    hints = {name: hint for group in groups for name, hint in get_type_hints(type(group)).items()}
    kinds = {}
    for name, hint in hints.items():
        types = get_args(hint) or (hint,)
        if types[0] in (bool, int, float) and types[1:] in ((), (type(None),)):
            kinds["--" + name.replace("_", "-")] = types[0], len(types) > 1
    return kinds


def _read_numbers(args: Sequence[str], kinds: dict[str, tuple[type, bool]]) -> list[str]:
    """The same words, with whole numbers in plain digits. Raises UserError for a value that is no number."""
    read: list[str] = []
    waiting = ""  # the option that the next word is the value of
    for word in args:
        name, equals, value = word.partition("=")
        option = name.replace("_", "-")
        if waiting and not word.startswith("--"):
            read.append(_read_number(waiting, word, *kinds[waiting]))
        elif equals and option in kinds:
            read.append(f"{name}={_read_number(option, value, *kinds[option])}")
        else:
            read.append(word)
        waiting = "" if waiting or equals or kinds.get(option, (bool,))[0] is bool else option
    return read


def _read_number(option: str, word: str, kind: type, may_be_none: bool) -> str:
    if kind is bool or (may_be_none and word == "None"):
        return word
    if kind is int:
        return str(read_whole(option, word))
    try:
        float(word)
    except ValueError:
        raise UserError(f"{option} {word or repr(word)}: must be a number") from None
    return word


def read_whole(option: str, word: str) -> int:
    """A whole number, also in the form 1e3. Raises UserError."""
    try:
        number = Decimal(word)
    except InvalidOperation:
        raise UserError(f"{option} {word or repr(word)}: must be a whole number") from None
    if not number.is_finite() or abs(number) >= 2**63:
        raise UserError(f"{option} {word}: must be less than 2**63")
    if number % 1:
        raise UserError(f"{option} {word}: must be a whole number{REMEDIES.get(option, '')}")
    return int(number)


def _unbox(message: str) -> str:
    """The words in the first of tyro's boxes, which has dashes for lines where stdout can show no others."""
    lines = [line.strip("│ ") for line in message.splitlines()]
    rules = [i for i, line in enumerate(lines) if line and (line[0] in "╭╰" or not line.strip("─-"))]
    words = " ".join(lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines).rstrip(". ")
    if of_numbers := re.match(r"Error parsing (\S+): Could not parse arguments \[(.*)\] into tuple", words):
        return f"{of_numbers[1]} {of_numbers[2]}: must be numbers"
    missing = re.fullmatch(r"Missing value for argument '(\S+)'\. Expected (\d+) values", words)
    if missing:
        option, count = missing.groups()
        return f"{option}: needs {'a value' if count == '1' else f'{count} values'}"
    return words
