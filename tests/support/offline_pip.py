"""pip as CI would run it, without a network: what it would fetch is lent from this environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from tests.support.projects import clean_environment


def lending() -> dict[str, str]:
    """An environment in which `pip install` of orchctl's sources builds and installs just it.

    Its dependencies and the build backend are those of this Python, by PYTHONPATH.
    """
    return clean_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # the wrong way round: 0 turns isolation off
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
