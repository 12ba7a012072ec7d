"""Plays a gateway around the plugin: its ticker's thread, its event loop, and an adapter that writes down what it is told to send.

Arguments: the plugin's folder, then `<profile>=<home>` for each profile that is served besides the launch home's. Ends at a file
named `stop` in HERMES_HOME. A text with `hang` in it is never sent to its end.
"""

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import threading
from pathlib import Path

from cron.scheduler_provider import InProcessCronScheduler
from gateway.config import Platform
from gateway.platforms.base import SendResult

home = Path(os.environ["HERMES_HOME"])


class Adapter:
    def __init__(self, profile):
        self.profile = profile

    def __getattr__(self, name):
        # Whatever else a release asks an adapter for, this one does not have.
        raise AttributeError(name)

    async def send(self, chat_id, content, reply_to=None, metadata=None, **more):
        said = {
            "adapter": self.profile,
            "chat": str(chat_id),
            "text": content,
            "loop": loop is asyncio.get_running_loop(),
        }
        with open(home / "sent.log", "a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
        if "hang" in content:
            await asyncio.sleep(3600)
        return SendResult(success=True, message_id="1")


def load(folder):
    spec = importlib.util.spec_from_file_location("supervisor_plugin", Path(folder) / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Context:
    def register_cron_scheduler(self, scheduler):
        self.scheduler = scheduler


loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
context = Context()
load(sys.argv[1]).register(context)
profiles = dict(argument.split("=", 1) for argument in sys.argv[2:])
arguments = {"adapters": {Platform.TELEGRAM: Adapter("default")}, "loop": loop, "can_dispatch": lambda: True}
takes = inspect.signature(InProcessCronScheduler.start).parameters
if profiles and "profile_homes" in takes:
    arguments["profile_homes"] = [("default", home), *((name, Path(path)) for name, path in profiles.items())]
if profiles and "profile_adapters" in takes:
    arguments["profile_adapters"] = {name: {Platform.TELEGRAM: Adapter(name)} for name in profiles}
    arguments["default_profile"] = "default"
stop = threading.Event()
ticker = threading.Thread(target=context.scheduler.start, args=(stop,), kwargs=arguments, daemon=True)
ticker.start()
while not (home / "stop").exists() and not stop.wait(0.05):
    pass
stop.set()
ticker.join(10)
os._exit(0)
