"""Makes `run_job` of the installed Hermes misbehave in the one way that $MISBEHAVES names. Python loads this by itself."""

import inspect
import json
import os
import sys
import threading
import time

if "MISBEHAVES" in os.environ and "HERMES_SUPERVISOR_RUN_DIR" in os.environ:
    import cron.scheduler as scheduler

    original = scheduler.run_job

    class Odd(BaseException):
        pass

    class Speechless(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def run_job(job, **more):
        way = os.environ["MISBEHAVES"]
        match way:
            case "raises":
                raise ValueError("the store is upside down")
            case "raises-speechless":
                raise Speechless
            case "removes-itself" | "is-removed":
                import cron.jobs

                cron.jobs.save_jobs([job])
                if way == "removes-itself":
                    cron.jobs.remove_job(job["id"])
                else:
                    os.remove(os.environ["HERMES_HOME"] + "/cron/jobs.json")
                return True, "document", "farewell", None
            case "talks-too-much":
                return True, "é" * 9_000_000, "done", None
            case "raises-base":
                raise Odd("no exception at all")
            case "exits":
                sys.exit("enough")
            case "exits-hard":
                os._exit(23)
            case "interrupts":
                raise KeyboardInterrupt
            case "leaves-threads":
                threading.Thread(target=time.sleep, args=(3600,)).start()
                return True, "document", "done", None
            case "noise":
                os.write(1, bytes(range(256)))
                os.write(2, b"\xff\xfe\x00")
                return True, "half \ud83d of a pair \x00", "\udc00", None
            case "closes-its-output":
                os.close(1)
                sys.stdout.close()
                return True, "document", "done", None
            case "never-returns":
                print("still at it", flush=True)
                time.sleep(3600)
            case "tells-its-environment":
                result = original(job, **more)
                with open(os.environ["HERMES_SUPERVISOR_RUN_DIR"] + "/environment.json", "w") as file:
                    json.dump(dict(os.environ), file, sort_keys=True)
                return result
        return original(job, **more)

    run_job.__signature__ = inspect.signature(original)
    scheduler.run_job = run_job
