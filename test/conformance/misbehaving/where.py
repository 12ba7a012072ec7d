"""Says where it was started, and with what."""

import json
import os

told = {"waits": os.environ.get("HERMES_SUPERVISOR_WAITS_FOR"), "job": os.environ.get("HERMES_SUPERVISOR_JOB_ID")}
print(json.dumps({"cwd": os.getcwd(), **told}))
