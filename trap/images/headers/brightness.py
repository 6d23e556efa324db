"""Units of brightness: every unit is converted to Jy/beam for certain, or the image is refused.

Programs write the same unit in many ways: ``mJy/beam``, ``beam-1 mJy``, ``10**-3 Jy/beam``, ``MILLIJY PER BM``. The
letters of a unit may be in any case. If the case of a prefix would decide between two units, as in ``MJY/BEAM``, the
unit is not certain.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from astropy.constants import c, k_B

if TYPE_CHECKING:
    from trap.images.beam import Beam

__all__ = ["Brightness", "Kind", "parse_brightness", "units_table"]


class Kind(Enum):
    """Kinds of brightness. The value is the unit without a prefix."""

    BEAM = "Jy/beam"
    PIXEL = "Jy/pixel"
    SOLID_ANGLE = "Jy/sr"
    TEMPERATURE = "K"


_THROUGH = {
    Kind.BEAM: "",
    Kind.PIXEL: "the beam and the local area of a pixel",
    Kind.SOLID_ANGLE: "the beam",
    Kind.TEMPERATURE: "the beam and the frequency",
}
"""Quantities of the image that a conversion to Jy/beam needs."""
_SPELLINGS = {
    Kind.BEAM: "`mJy/beam`, `JY/BM`, `beam-1 uJy`, `10**-3 Jy / beam`, `Jansky per beam`, `W m-2 Hz-1 beam-1`",
    Kind.PIXEL: "`Jy/pixel`, `MJy pix^-1`, `1e-6 Jy/px`",
    Kind.SOLID_ANGLE: "`MJy/sr`, `MJY/SR`, `sr-1 Jy`, `mJy/arcsec2`, `Jy/deg^2`",
    Kind.TEMPERATURE: "`K`, `mK`, `KELVIN`, `10**-6 K`",
}
_JANSKY = 1e-26
"""W m⁻² Hz⁻¹"""
_UNITS = {
    "Jy": (_JANSKY, {"J": 1, "m": -2}, ("jansky", "janskys")),
    "K": (1.0, {"K": 1}, ("kelvin", "kelvins")),
    "W": (1.0, {"J": 1, "s": -1}, ("watt", "watts")),
    "J": (1.0, {"J": 1}, ("joule", "joules")),
    "erg": (1e-7, {"J": 1}, ("ergs",)),
    "Hz": (1.0, {"s": -1}, ("hertz",)),
    "s": (1.0, {"s": 1}, ("sec", "second")),
    "m": (1.0, {"m": 1}, ("metre", "meter")),
    "beam": (1.0, {"beam": 1}, ("beams", "bm")),
    "pixel": (1.0, {"pixel": 1}, ("pixels", "pix", "px")),
    "sr": (1.0, {"rad": 2}, ("ster", "sterad", "steradian", "steradians")),
    "rad": (1.0, {"rad": 1}, ("radian", "radians")),
    "deg": (math.radians(1), {"rad": 1}, ("degree", "degrees")),
    "arcmin": (math.radians(1 / 60), {"rad": 1}, ("arcminute", "arcminutes")),
    "arcsec": (math.radians(1 / 3600), {"rad": 1}, ("arcsecond", "arcseconds", "asec")),
    "mas": (math.radians(1e-3 / 3600), {"rad": 1}, ()),
}
"""Symbols with their values in SI units, dimensions and other names."""
_SYMBOLS = {name.lower(): symbol for symbol, (_, _, others) in _UNITS.items() for name in (symbol, *others)}
_WITH_PREFIX = ("Jy", "K", "W", "J", "Hz", "s", "m")
_PREFIXES = dict(zip("yzafpnumcdhkMGTPEZY", (*range(-24, -2, 3), -2, -1, 2, *range(3, 25, 3)), strict=True)) | {"da": 1}
_LONG_PREFIXES = {"pico": -12, "nano": -9, "micro": -6, "milli": -3, "kilo": 3, "mega": 6, "giga": 9}
"""Prefixes and their powers of ten."""
_BY_CASE = {prefix for prefix in _PREFIXES if prefix.swapcase() in _PREFIXES}
"""Prefixes with another meaning in the other case."""
_KINDS = {
    frozenset({("J", 1), ("m", -2), ("beam", -1)}): Kind.BEAM,
    frozenset({("J", 1), ("m", -2), ("pixel", -1)}): Kind.PIXEL,
    frozenset({("J", 1), ("m", -2), ("rad", -2)}): Kind.SOLID_ANGLE,
    frozenset({("K", 1)}): Kind.TEMPERATURE,
}
_USUAL = {Kind.BEAM: "m", Kind.PIXEL: "m", Kind.TEMPERATURE: "m", Kind.SOLID_ANGLE: "M"}
"""Prefix that is certain in a unit with wrong case: mjy/beam is mJy/beam, and MJY/SR is MJy/sr."""

MIN_SCALE, MAX_SCALE = 1e-30, 1e30
"""Limits of the units; pixels of 32 bits reach from 1e-38 to 1e38."""
_MAX_LENGTH = 80
"""Number of characters; the value of a FITS card has 68 at most."""
_MAX_DEPTH = 4
_BASE = 10
"""Number whose power needs no sign of a power: 10-3 is 0.001."""
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2}(?!\d))?", re.ASCII)
_NAME = re.compile(r"[A-Za-z]+")
_MARKED = r"(?:\*\*|\^)(?:\(([-+]?\d{1,2})\)|([-+]?\d{1,2})(?!\d))"
_MARKED_POWER = re.compile(_MARKED, re.ASCII)
_POWER = re.compile(rf"{_MARKED}|([-+]?\d{{1,2}})(?!\d)", re.ASCII)
_FRACTION = re.compile(r"\.\d", re.ASCII)
"""What makes a power a fraction, not a product: 10**3.5."""
_SEPARATOR = re.compile(r"\s*([*./]?)\s*")
_OPEN, _CLOSE = re.compile(r"\(\s*"), re.compile(r"\s*\)")
_CHARACTERS = str.maketrans(
    {
        "μ": "u",
        "\u039c": "u",
        "−": "-",
        "·": "*",
        "⋅": "*",
        "×": "*",
        "_": " ",
        **dict(zip("{}[]", "()()", strict=True)),
    }
)
"""Characters with a plain equivalent; U+039C is the capital of μ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness:
    """A unit of brightness.

    Parameters
    ----------
    kind
        Kind of the unit.
    scale
        The unit in units of the formula of its kind: 0.001 for ``mJy/beam``.
    is_stated
        Whether the image names the unit. Without a name it is taken as Jy/beam.
    """

    kind: Kind = Kind.BEAM
    scale: float = 1.0
    is_stated: bool = True

    def jansky_per_unit(self, beam: Beam | None, frequency: float, pixel_area: float) -> float:
        """Compute the factor that converts to Jy/beam.

        Parameters
        ----------
        beam
            Restoring beam.
        frequency
            Hz — frequency of the image.
        pixel_area
            deg² — solid angle of a pixel.

        Raises
        ------
        ValueError
            If the conversion needs a beam, and there is none.
        """
        if self.kind is Kind.BEAM:
            return self.scale
        if beam is None:
            msg = f"the conversion to Jy/beam needs {_THROUGH[self.kind]}, and the image has no restoring beam"
            raise ValueError(msg)
        if self.kind is Kind.PIXEL:
            return self.scale * beam.solid_angle / pixel_area
        steradians = math.radians(math.radians(beam.solid_angle))
        if self.kind is Kind.SOLID_ANGLE:
            return self.scale * steradians
        # The law of Rayleigh and Jeans, which defines brightness temperatures in radio astronomy.
        return self.scale * 2 * float(k_B.si.value) * (frequency / float(c.si.value)) ** 2 * steradians / _JANSKY

    def conversion(self, factor: float) -> str:
        """Describe the conversion to Jy/beam by a factor; empty if the unit is Jy/beam."""
        if not self.is_stated:
            return "not stated, taken as Jy/beam"
        through = _THROUGH[self.kind] and f" through {_THROUGH[self.kind]}"
        return f"converted to Jy/beam{through}: × {factor:.4g}" if through or factor != 1 else ""


@lru_cache
def parse_brightness(text: str) -> Brightness:
    """Parse a unit of brightness. An empty text is Jy/beam.

    Parameters
    ----------
    text
        Unit as in ``BUNIT``: a product of numbers and names with powers, in any order and with any usual separators.

    Raises
    ------
    ValueError
        If the unit is not one of brightness, or is not certain. The message gives the reason.
    """
    # Compatible forms of superscripts and of the micro sign.
    plain = unicodedata.normalize("NFKC", text).translate(_CHARACTERS).strip()
    if not plain:
        return Brightness(is_stated=False)
    if len(plain) > _MAX_LENGTH:
        msg = f"longer than {_MAX_LENGTH} characters"
        raise ValueError(msg)
    plain = re.sub(r"(?i)(?<![a-z])per(?![a-z])", "/", plain)
    plain = re.sub(r"\s*(\*\*|\^)\s*", r"\1", re.sub(r"([-+]\d+)\.0+(?!\d)", r"\1", plain))
    parser = _Parser(plain)
    try:
        value, dimensions = parser.parse()
    except ArithmeticError as error:
        msg = "out of the range of numbers"
        raise ValueError(msg) from error
    kind = _KINDS.get(frozenset((name, power) for name, power in dimensions.items() if power))
    if kind is None:
        msg = f"not a unit of the kind {', '.join(kind.value for kind in Kind)}"
        raise ValueError(msg)
    for prefix, symbol, name in parser.uncertain:
        if prefix != _USUAL[kind] or symbol not in ("Jy", "K"):
            msg = f"the prefix of {name!r} is not certain, since {prefix.lower()} and {prefix.upper()} differ"
            raise ValueError(msg)
    scale = value if kind is Kind.TEMPERATURE else value / _JANSKY
    if not MIN_SCALE < scale < MAX_SCALE:
        msg = "out of the range of numbers"
        raise ValueError(msg)
    # Powers of ten are exact again.
    return Brightness(kind=kind, scale=float(f"{scale:.14g}"))


def units_table() -> str:
    """Make the table of the units of brightness, for the documentation."""
    lines = ["| unit | examples of spellings | converted through |", "|---|---|---|"]
    lines += [f"| {kind.value} | {_SPELLINGS[kind]} | {_THROUGH[kind] or 'its factor alone'} |" for kind in Kind]
    return "\n".join(lines) + "\n"


class _Parser:
    """Parser of a product of numbers and names.

    A slash divides by the next factor only, as in FITS. Numbers after a slash would be read in two ways.

    Parameters
    ----------
    text
        The product, in plain characters.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.uncertain: list[tuple[str, str, str]] = []
        """Prefix, symbol and name of the units whose prefix has another meaning in the other case."""

    def parse(self) -> tuple[float, Counter[str]]:
        """Return value in SI units and dimensions of the whole text."""
        product = self._product(0)
        if self.place < len(self.text):
            self._fail()
        return product

    def _fail(self) -> NoReturn:
        msg = f"{self.text[self.place :]!r} cannot be read" if self.place < len(self.text) else "incomplete"
        raise ValueError(msg)

    def _accept(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Return the match of a pattern at the present place, and go on behind it."""
        match = pattern.match(self.text, self.place)
        if match:
            self.place = match.end()
        return match

    def _product(self, depth: int) -> tuple[float, Counter[str]]:
        """Return the product up to the end of the text, or up to a closing parenthesis."""
        value, dimensions, sign, is_divided = 1.0, Counter[str](), 1, False
        while True:
            factor, powers = self._factor(depth, may_be_number=not is_divided)
            value *= factor**sign
            for name, power in powers.items():
                dimensions[name] += sign * power
            separator = self._accept(_SEPARATOR)
            symbol = "" if separator is None else separator[1]
            if not symbol and self.text[self.place : self.place + 1] in ("", ")"):
                return value, dimensions
            sign, is_divided = -1 if symbol == "/" else 1, is_divided or symbol == "/"

    def _factor(self, depth: int, *, may_be_number: bool) -> tuple[float, Counter[str]]:
        """Return one factor with its power."""
        dimensions, number = Counter[str](), self._accept(_NUMBER) if may_be_number else None
        if number is not None:
            value = float(number[0])
        elif name := self._accept(_NAME):
            value, dimensions = self._unit(name[0])
        elif depth < _MAX_DEPTH and self._accept(_OPEN):
            value, dimensions = self._product(depth + 1)
            if not self._accept(_CLOSE):
                self._fail()
        else:
            self._fail()
        exponent = self._accept(_POWER if number is None or value == _BASE else _MARKED_POWER)
        if exponent is not None and _FRACTION.match(self.text, self.place):
            self._fail()
        power = 1 if exponent is None else int(next(group for group in exponent.groups() if group))
        return value**power, Counter({name: n * power for name, n in dimensions.items()})

    def _unit(self, name: str) -> tuple[float, Counter[str]]:
        """Return a unit, with or without a prefix."""
        symbol, power = _SYMBOLS.get(name.lower()), 0
        if symbol is None:
            symbol, power = self._prefixed(name)
        value, dimensions, _ = _UNITS[symbol]
        return value * 10.0**power, Counter(dimensions)

    def _prefixed(self, name: str) -> tuple[str, int]:
        """Return the symbol of a unit with a prefix, and the power of ten of the prefix."""
        for prefix, power in _LONG_PREFIXES.items():
            symbol = _SYMBOLS.get(name.lower().removeprefix(prefix))
            if name.lower().startswith(prefix) and symbol in _WITH_PREFIX:
                return symbol, power
        for length in (1, 2):
            prefix, rest = name[:length], name[length:]
            symbol = _SYMBOLS.get(rest.lower())
            prefix = next((one for one in (prefix, prefix.swapcase()) if one in _PREFIXES), "")
            if prefix and symbol in _WITH_PREFIX:
                is_spelt = rest == symbol or (rest.istitle() and len(rest) > len(symbol))
                # In capitals only, or in small letters only, the case of the prefix has no meaning.
                if prefix in _BY_CASE and not (is_spelt and name not in (name.lower(), name.upper())):
                    self.uncertain.append((prefix, symbol, name))
                return symbol, _PREFIXES[prefix]
        msg = f"{name!r} is no known unit"
        raise ValueError(msg)
