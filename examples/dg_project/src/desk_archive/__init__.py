"""An archive of a desk, as a `dg` project."""
