# SPDX-License-Identifier: Apache-2.0
"""A figure beside its requirement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    what: str
    figure: str
    requirement: str
    met: bool
    # The interval holds the limit, so that another run may say otherwise.
    close: bool = False

    def verdict(self) -> str:
        return ("met" if self.met else "missed") + (", close" if self.close else "")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def interval_text(interval: dict[str, float], key: str, digits: int = 2) -> str:
    return f"{interval[key]:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def at_most(what: str, ratio: dict[str, float], limit: float, digits: int = 2) -> Check:
    """Of an interval that resampling.ratio_interval made."""
    close = ratio["low"] <= limit < ratio["high"]
    return Check(
        what, interval_text(ratio, "ratio", digits), f"<= {limit:.3g}", ratio["ratio"] <= limit, close
    )


def at_least(what: str, ratio: dict[str, float], limit: float) -> Check:
    """Likewise."""
    close = ratio["low"] < limit <= ratio["high"]
    return Check(what, interval_text(ratio, "ratio", 3), f">= {limit:g}", ratio["ratio"] >= limit, close)


def not_below(what: str, difference: dict[str, float], limit: float) -> Check:
    """Of an interval that resampling.difference_interval made."""
    close = difference["low"] < limit <= difference["high"]
    figure = interval_text(difference, "difference", 4)
    return Check(what, figure, f">= {limit:g}", difference["difference"] >= limit, close)


def recall_at_least(what: str, recall: float, limit: float) -> Check:
    return Check(what, f"{recall:.4f}", f">= {limit:g}", recall >= limit)
