"""Reads a JSON list of .env texts from standard input and prints what python-dotenv makes of each, as Hermes calls it."""

import io
import json
import os
import sys

from dotenv.main import DotEnv, resolve_variables


def stripped(text):
    """Hermes rewrites the file like this before it reads it (hermes_cli.config._sanitize_env_lines)."""
    lines = []
    for line in io.StringIO(text.removeprefix("\ufeff"), newline=None).readlines():
        raw = line.rstrip("\r\n")
        bare = raw.strip()
        lines.append((raw if not bare or bare.startswith("#") else bare) + "\n")
    return "".join(lines)


request = json.load(sys.stdin)
os.environ.clear()
os.environ.update(request["base"])
answers = []
for text in request["texts"]:
    stream = io.StringIO(stripped(text), newline="")
    values = resolve_variables(DotEnv(dotenv_path=None, stream=stream, interpolate=False).parse(), override=True)
    answers.append({name: value for name, value in values.items() if value is not None})
json.dump(answers, sys.stdout)
