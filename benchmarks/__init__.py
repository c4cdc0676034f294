"""Every figure that the docs quote, and the command that makes it: `python -m benchmarks`."""
