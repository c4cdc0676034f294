"""`python -m orchctl`."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from orchctl.cli import run

        sys.exit(run())
    except KeyboardInterrupt:  # while Python was still importing: nothing had begun
        sys.exit(130)


if __name__ == "__main__":
    main()
