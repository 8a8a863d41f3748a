"""Sessions of equity bars that are known to be on another basis than the rest of their symbol.

The broker restates all history of a symbol after a corporate action, and all stored bars are then read anew. What could
not be read has its condition reopened with a reason that begins with `ON_OLD_BASIS`: so it is named by `coverage` and
by the rule `one_basis`, and the next collection of the symbol asks for it.
"""

from __future__ import annotations

ON_OLD_BASIS = "Prices were restated and this session was not read anew"
"""How the reason of such a condition begins."""

NO_LONGER_GIVEN = f"{ON_OLD_BASIS}: the broker no longer gives these bars."
"""The reason where asking again brings nothing; the condition stays `complete`."""
