"""Settings: flag > environment > orchctl.toml or [tool.orchctl] > alembic.ini."""

from orchctl.config.project import AlembicProject
from orchctl.config.settings import KeepRules, Origin, Settings, load, masked_url

__all__ = ["AlembicProject", "KeepRules", "Origin", "Settings", "load", "masked_url"]
