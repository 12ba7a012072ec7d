"""Lays this interpreter's Hermes out as its installer does from source, and prints the folder of its command: source-install.py FOLDER

Code in FOLDER/hermes-agent, an interpreter that knows nothing of it in FOLDER/tools, its packages in FOLDER/installs, and a launcher that
Hermes itself writes. What is copied is what Hermes looks up by its real path; packages are only linked.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path

root = Path(sys.argv[1]).resolve()
checkout = root / "hermes-agent"
own = next(
    one for one in importlib.metadata.distributions() if "cron" in (one.read_text("top_level.txt") or "").split()
)
modules = set((own.read_text("top_level.txt") or "").split())
packages = Path(str(own.locate_file("")))
state = root / "installs" / hashlib.sha256(str(checkout).encode()).hexdigest()[:16]
environment = state / "environments" / "1"
version = f"{sys.version_info.major}.{sys.version_info.minor}"
site = environment / "lib" / f"python{version}" / "site-packages"
tool = root / "tools" / "python" / "bin" / "python3"

for folder in (checkout, site, tool.parent, environment / "bin"):
    folder.mkdir(parents=True)
for entry in packages.iterdir():
    name = entry.name.removesuffix(".py")
    if name in modules and entry.is_dir():
        shutil.copytree(entry, checkout / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
    elif name in modules:
        shutil.copy(entry, checkout)
    elif not entry.name.startswith("hermes"):
        (site / entry.name).symlink_to(entry)
(environment / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\nversion = {version}\n")
(state / "facts.json").write_text(json.dumps({"packages": {"venv": {"environment": str(environment)}}}))
(root / "tools" / "facts.json").write_text(json.dumps({"packages": {"python": {"entry": "python"}}}))
for python in (tool, environment / "bin" / "python"):
    python.symlink_to(os.path.realpath(sys.executable))

os.environ["HERMES_HOME"] = str(root)
from hermes_cli._launchers import stage_launcher  # noqa: E402

launchers = checkout / ".hermes" / "bin"
launchers.mkdir(parents=True)
print(stage_launcher("hermes", checkout, launchers).parent)
