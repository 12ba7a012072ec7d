"""Prints, as JSON, what Hermes makes of a key of each form that it knows, and of the texts that it is given."""

import json
import re
import sys

from agent.redact import _PREFIX_PATTERNS, redact_sensitive_text


def sample(pattern):
    """A key that the pattern matches: its literal beginning, with the first of what may vary, and a long body."""
    head = re.match(r"(?:[A-Za-z0-9_-]|\\\.)*?(?=\\d|\[|\(|$)", pattern)[0].replace("\\.", ".")
    rest = pattern[len(re.match(r"(?:[A-Za-z0-9_-]|\\\.)*?(?=\\d|\[|\(|$)", pattern)[0]) :]
    middle = "1-" if rest.startswith("\\d+-") else "b-" if rest.startswith("[baprs]-") else ""
    body = "A1B2C3D4E5F6G7H8" if "{16}" in rest else "a1B2" * 12
    key = head + middle + body
    assert re.fullmatch(pattern, key), (pattern, key)
    return key


texts = [f"the key: {sample(pattern)}, and more" for pattern in _PREFIX_PATTERNS] + json.load(sys.stdin)
json.dump([[text, redact_sensitive_text(text)] for text in texts], sys.stdout)
