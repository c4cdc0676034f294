"""The command line: parses, calls, renders, nothing else."""

from orchctl.cli.boundary import run

__all__ = ["run"]
