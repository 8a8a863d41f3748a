"""Examining: what of an answer cannot be stored, found answer by answer before anything is decoded. Pure.

An answer is taken for what it is: each value of the wrong kind, beyond what is possible, or in contradiction to the
question is a `Fault`, and what it belongs to (a bar, a contract, an expiry, a quote) is left out. What is left can be
decoded and stored. Who keeps the bad ones and asks again is said by `collecting.quarantine`.
"""

from trading_assets.collecting.examine.answers import Examined, examine

__all__ = ["Examined", "examine"]
