"""Makes `run_job` of the installed Hermes misbehave in the one way that $MISBEHAVES names. Python loads this by itself."""

import inspect
import json
import os
import sys
import threading
import time

way = os.environ.get("MISBEHAVES")
if way is not None and "HERMES_SUPERVISOR_RUN_DIR" in os.environ:
    import cron.scheduler as scheduler

    original = scheduler.run_job

    class Odd(BaseException):
        pass

    def run_job(job, **more):
        match way:
            case "raises":
                raise ValueError("the store is upside down")
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
