"""`python -m orchctl`."""

import gc
import sys

# Importing and compiling statements makes objects by the hundred thousand that all stay; looking
# through them again after every 700 new ones, as Python does, costs a fifth of a short run.
_COLLECT_AFTER = 200_000


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_COLLECT_AFTER)
    try:
        import signal  # Python's own, but not there yet

        # A container's stop is a Ctrl-C, from the first line on.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from orchctl.cli import run

        code = run()
        gc.freeze()  # the process ends: no last search through everything
        sys.exit(code)
    except KeyboardInterrupt:  # while Python was still importing: nothing had begun
        sys.exit(130)
    except RuntimeError as error:  # what Python 3.11 makes of one while a class is being made
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        sys.exit(130)


if __name__ == "__main__":
    main()
