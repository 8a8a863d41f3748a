"""Compiled code of the pricing models: `european`, `american`. The only place that loads numba."""
