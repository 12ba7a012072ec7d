"""Creates, renames, pauses, resumes and removes jobs in quick succession, then prints what must be left of them: churn.py COUNT"""

import json
import sys

from cron.jobs import create_job, pause_job, remove_job, resume_job, update_job

left = []
for number in range(int(sys.argv[1])):
    job_id = create_job("", "every 9h", name=f"new {number}", script="report.sh", no_agent=True, deliver="local")["id"]
    name = f"churn {number} ☕"
    update_job(job_id, {"name": name})
    pause_job(job_id)
    if number % 3 == 0:
        resume_job(job_id)
    if number % 5 == 0:
        remove_job(job_id)
    else:
        resumed = number % 3 == 0
        left.append({"id": job_id, "name": name, "enabled": resumed, "state": "scheduled" if resumed else "paused"})
print(json.dumps(left))
