"""What texts may look like, as patterns for OpenAPI and as words for people."""

from __future__ import annotations

# No control characters, and no space around it.
NAME = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
REMARK = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
# What an HTTP header can carry, and no mask of a key.
KEY = r"^[!-)+-~][!-~]*$"
KEY_OR_MASK = r"^(\*{4}[!-~]{0,4}|[!-)+-~][!-~]*)$"
URL = r"^https?://[!-~]+$"

EXPLAINED = {
    NAME: "must not be blank, have spaces around it or control characters in it",
    REMARK: "must not have control characters in it",
    KEY: "must be a key, not its mask: printable ASCII without spaces",
    KEY_OR_MASK: "must be printable ASCII without spaces",
    URL: "must be an address that starts with http:// or https://",
}
