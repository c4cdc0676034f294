"""What holds for every test."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start would
# inherit that: the tests that send it would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
