"""What texts may look like, as patterns for OpenAPI and as words for people."""

from __future__ import annotations

# No control characters, and no space around it.
NAME = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
REMARK = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
# What an HTTP header can carry, and no mask of a key.
KEY = r"^[!-)+-~][!-~]*$"
KEY_OR_MASK = r"^(\*{4}[!-~]{0,4}|[!-)+-~][!-~]*)$"
# A host, a port, a path. A query would end up in the middle, and a password in pages and exports.
URL = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!$->@-~]*)?$"

EXPLAINED = {
    NAME: "must not be blank, have spaces around it or control characters in it",
    REMARK: "must not have control characters in it",
    KEY: "must be a key, not its mask: printable ASCII without spaces",
    KEY_OR_MASK: "must be printable ASCII without spaces",
    URL: "must be an address such as https://host/v1, without a query or a password",
}
