"""Kinds of values that options and flags take: which they are, how words are read, and what is said of others.

A value that is refused is told in one line with what was expected, the same to users of the library and of the command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

__all__ = ["Kind", "address", "file", "folder", "integer", "names", "number", "pair", "shown", "switch", "word"]

MOST_SHOWN = 60  # characters of a value in a message


class Kind(NamedTuple):
    """One kind of values."""

    values: str  # which they are, in words
    takes: Callable[[Any], bool]  # whether a value is one of them; of any object, raises nothing
    read: Callable[[str], Any]  # the value that a text stands for; ValueError where it is of no such type

    def expected(self, value: object) -> str:
        """What is said of a value that is none of them."""
        return f"{shown(value)}: expected {self.values}"

    def of(self, text: str) -> Any:
        """The value that a text stands for; raises ValueError, with what is to be said, where it is none of them."""
        try:
            value = self.read(text)
        except ValueError as error:
            raise ValueError(self.expected(text)) from error
        if not self.takes(value):
            raise ValueError(self.expected(text))
        return value


def word(*words: str) -> Kind:
    """One of some words."""
    *others, last = words
    said = f"{', '.join(others)} or {last}" if others else last
    return Kind(said, lambda value: isinstance(value, str) and value in words, str)


def switch() -> Kind:
    """A bool."""
    meanings = {"true": True, "false": False}

    def read(text: str) -> bool:
        if text not in meanings:
            raise ValueError(text)
        return meanings[text]

    return Kind("true or false", lambda value: isinstance(value, bool), read)


def integer(least: int, most: int) -> Kind:
    """An integer from `least` to `most`."""

    def takes(value: object) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most

    return Kind(f"an integer from {least} to {most}", takes, int)


def number(most: float) -> Kind:
    """A positive number that is at most `most`."""

    def takes(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        given: Any = value  # compared as it is: integers may be larger than all floats
        return bool(0.0 < given <= most)

    return Kind(f"a positive number, at most {most:.0f}", takes, float)


def file(*endings: str) -> Kind:
    """The name of a file, of one of some endings where there are any; "" for none."""

    def takes(value: object) -> bool:
        if not isinstance(value, (str, os.PathLike)):
            return False
        name = os.fspath(value)
        return isinstance(name, str) and "\0" not in name and (not name or _ends(name, endings))

    ending = f" that ends with {', '.join(endings[:-1])} or {endings[-1]}" if endings else ""
    return Kind(f"a file name{ending}", takes, str)


def folder() -> Kind:
    """The name of a folder; "" for none."""
    return Kind("the name of a folder", file().takes, str)


def address() -> Kind:
    """Where a cluster is; "" for none."""
    pattern = r"|local(:[1-9]\d{0,3})?|(tcp|tls)://[^\s/:]+:\d{1,5}|[^\0]*\.ya?ml"

    def takes(value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None

    return Kind("local, local:N, tcp://HOST:PORT, tls://HOST:PORT or a file that ends with .yaml", takes, str)


def names() -> Kind:
    """Names of tensors, with commas between them; "" for all."""

    def takes(value: object) -> bool:
        return isinstance(value, str) and (not value or all(part.strip() for part in value.split(",")))

    return Kind("a name, or several with commas between them", takes, str)


def pair() -> Kind:
    """Two different numbers of inputs, as a text; "" for none."""

    def takes(value: object) -> bool:
        if not isinstance(value, str) or not re.fullmatch(r"|\d{1,9},\d{1,9}", value, re.ASCII):
            return False
        return not value or len({int(part) for part in value.split(",")}) == 2

    return Kind("two different numbers of inputs, e.g. 0,1", takes, str)


def shown(value: object) -> str:
    """A value in a message: on one line, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # integers of thousands of digits have no text
        text = f"{type(value).__name__} of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def _ends(name: str, endings: tuple[str, ...]) -> bool:
    return not endings or os.path.splitext(name)[1].lower() in endings
