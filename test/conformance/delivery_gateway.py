"""Plays a 0.22 gateway's part in deliveries: its lock, its event loop, an adapter that writes down what it is told to send, and
Hermes' own drain of `cron/deliveries.db`, once a second as its housekeeping does. Ends at a file named `stop` in HERMES_HOME.
A text with `hang` in it is never sent to its end.
"""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

from cron.scheduler import drain_delivery_queue
from gateway.config import Platform
from gateway.platforms.base import SendResult
from gateway.status import acquire_gateway_runtime_lock, write_pid_file

home = Path(os.environ["HERMES_HOME"])


class Adapter:
    async def send(self, chat_id, content, reply_to=None, metadata=None, **more):
        said = {"chat": str(chat_id), "text": content, "loop": loop is asyncio.get_running_loop()}
        with open(home / "sent.log", "a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
        if "hang" in content:
            await asyncio.sleep(3600)
        return SendResult(success=True, message_id="1")


loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
assert acquire_gateway_runtime_lock()
write_pid_file()
(home / "serving").touch()
while not (home / "stop").exists():
    drain_delivery_queue({Platform.TELEGRAM: Adapter()}, loop)
    time.sleep(0.2)
os._exit(0)
