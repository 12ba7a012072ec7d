"""Is the worker that lies in $WORKER, many times: forked.py [WAY RUN_FOLDER]...; each begins where Hermes is loaded already.

Prints how each one ended, by its way: an exit code, or the number of a signal below zero.
"""

import importlib.util
import json
import os
import sys

spec = importlib.util.spec_from_file_location("hermes_worker", os.environ.pop("WORKER"))
worker = importlib.util.module_from_spec(spec)
sys.modules["hermes_worker"] = worker
spec.loader.exec_module(worker)
worker.warm_up()
worker.warm_up = lambda: None

ends = {}
for way, run in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    child = os.fork()
    if child == 0:
        output = os.open(f"{run}/output.log", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(run)
        os.environ.update(MISBEHAVES=way, HERMES_SUPERVISOR_RUN_DIR=run)
        worker.work([])
    ends[way] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(ends))
