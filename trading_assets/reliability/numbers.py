"""Numbers that users give. `trading_assets.arguments` checks them elsewhere; it imports the errors, which import this
package."""

from __future__ import annotations

import math
from numbers import Integral, Real


def is_number(value: object, least: float, *, whole: bool = False) -> bool:
    """Whether the value is a finite number from `least` on, with `whole` a whole one; a boolean is none."""
    kind = Integral if whole else Real
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value) and float(value) >= least
