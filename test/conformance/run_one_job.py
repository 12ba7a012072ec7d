"""Takes outcomes of `run_job` through Hermes' own `run_one_job`, or through the worker: run_one_job.py theirs|ours WORKER.

Reads cases from standard input and writes what came of each. Nothing is sent, and the clock stands still.
"""

import importlib
import importlib.util
import json
import os
import sys
from datetime import datetime

side, worker_path = sys.argv[1:]
cases = json.load(sys.stdin)
sys.path[0:1] = []

for name in ("run_agent", "cron.unreachable_retry", "cron.quota_hold", "cron.incidents", "cron.occurrences"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # This release has none.
import cron.jobs as jobs
import cron.scheduler as scheduler
import hermes_time

instant = datetime.fromisoformat("2026-11-21T12:00:00+05:30")
hermes_time.now = lambda: instant
for module in list(sys.modules.values()):
    if getattr(module, "_hermes_now", None) is not None:
        module._hermes_now = hermes_time.now

spec = importlib.util.spec_from_file_location("hermes_worker", worker_path)
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)

stored = ("unreachable_retry", "quota_hold_until", "quota_hold_cron_expr")
sent = []
marked = []
mark_job_run = scheduler.mark_job_run


def fake_run_job(case):
    def run_job(job, *, defer_agent_teardown=None, extra_prompt=None, cancel_event=None, execution_id=None):
        job.update(case["flags"])
        if case["raises"] is not None:
            raise ValueError(case["raises"])
        return tuple(case["outcome"])

    return run_job


def deliver(job, content, adapters=None, loop=None, *, for_failure=None):
    sent.append((content, for_failure))


def theirs(case):
    job = dict(case["job"])
    jobs.save_jobs([json.loads(json.dumps(job))])
    scheduled = importlib.util.find_spec("cron.occurrences")
    if scheduled and case["scheduled_at"]:
        job["_scheduled_instant"] = importlib.import_module("cron.occurrences").scheduled_instant(case["scheduled_at"])
    sent.clear()
    marked.clear()
    scheduler.run_one_job(job)
    # An old release removes a record whose repeats are used up.
    after = jobs.get_job(job["id"]) or {"next_run_at": None, "repeat": {"completed": 1}}
    success, error, status = marked[0]
    return {
        "deliver": sent[0][0] if sent else None,
        "status": status or ("ok" if success else "error"),
        "error": error,
        "fields": {name: after.get(name) for name in stored},
        "moved_to": None if after["next_run_at"] == natural(case) else after["next_run_at"],
        "counted": after["repeat"]["completed"] - case["job"]["repeat"]["completed"],
    }


def natural(case):
    return jobs.compute_next_run(case["job"]["schedule"], instant.isoformat())


def ours(case):
    job = json.loads(json.dumps(case["job"]))
    run = worker.Run(job, None, case["scheduled_at"])
    answer = run.answer()
    if answer["deliver"] is not None and job["deliver"] != "local" and answer["incident"] is not None:
        worker.settle_incident(answer["incident"])
    return {
        "deliver": answer["deliver"],
        "status": answer["status"],
        "error": answer["error"],
        "fields": {name: answer["fields"].get(name, case["job"].get(name)) for name in stored},
        "moved_to": answer["fields"].get("next_run_at"),
        "counted": int(answer["counted"]),
    }


def mark(job_id, success, error=None, *rest, status=None, **more):
    marked.append((success, error, status))
    kept = {} if status is None else {"status": status}
    return mark_job_run(job_id, success, error, *rest, **kept, **more)


scheduler._deliver_result = deliver
scheduler.mark_job_run = mark
results = []
for case in cases:
    scheduler.run_job = fake_run_job(case)
    results.append({"theirs": theirs, "ours": ours}[side](case))
with open(os.environ["RESULTS"], "w") as file:
    json.dump(results, file)
os._exit(0)
