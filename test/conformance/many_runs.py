"""Does every run in the folder $RUNS, each in a process of its own that has loaded Hermes as a worker at its gate has: many_runs.py WORKER

Loading takes two seconds of a core, and two hundred runs would take minutes. What one run could leave for the next lies in the home.
"""

import gc
import importlib.util
import os
import sys
from pathlib import Path

AT_ONCE = 2

spec = importlib.util.spec_from_file_location("hermes_worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
sys.modules["hermes_worker"] = worker
spec.loader.exec_module(worker)


def run(folder):
    os.chdir(folder)
    output = os.open("output.log", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["HERMES_SUPERVISOR_RUN_DIR"] = str(folder)
    worker.leave(worker.run_prompt_job(folder, True))


worker.warm_up()
gc.collect()
running = 0
for folder in sorted(Path(os.environ["RUNS"]).iterdir()):
    if running == AT_ONCE:
        os.wait()
        running -= 1
    if os.fork() == 0:
        run(folder)
    running += 1
while running > 0:
    os.wait()
    running -= 1
