"""What the project holds: the archive (`archive/defs.yaml`) and assets of its own."""
