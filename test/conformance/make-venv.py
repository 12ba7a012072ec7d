"""Makes a virtual environment with the given requirements, once: make-venv.py FOLDER REQUIREMENT…

A virtual environment cannot be moved, so it is built where it stays; a marker written last tells a whole one from the rest
of a build that was stopped. Whoever comes while another process builds waits for it.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

# The same cache may be reached by several paths.
folder, requirements = Path(sys.argv[1]).resolve(), sys.argv[2:]
marker = folder / "complete.json"
wanted = {"requirements": requirements, "python": sys.version, "folder": str(folder)}

folder.parent.mkdir(parents=True, exist_ok=True)
with open(f"{folder}.lock", "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        complete = json.loads(marker.read_text()) == wanted
    except (OSError, ValueError):
        complete = False
    if not complete:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        code = subprocess.run(pip, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            sys.exit(code)
        whole = folder / "complete.json.tmp"
        whole.write_text(json.dumps(wanted))
        os.replace(whole, marker)
