"""Hermes Supervisor's part of a Hermes gateway: a CronScheduler that stands down while the supervisor lives.

`hermes-supervisor gateway attach` puts this file at `<home>/plugins/hermes-supervisor/__init__.py` and selects it by
`cron.provider` in that home's config.yaml; `gateway detach` takes both away again.

- The supervisor's daemon holds an exclusive flock on `<state>/daemon.lock` for as long as it lives. While it is held, this
  gateway dispatches no cron job; its ticker goes on and writes its heartbeat. Once the daemon has been gone for a few
  seconds, Hermes' own built-in ticker goes on, at once and not at its next minute, until the daemon is back.
- What the supervisor's runs want to say leaves through this gateway's live adapters. A message is
  `<state>/outbox/<name>.json`: {"job": {...}, "content": text, "for_failure": bool, "home": name}. It is locked (flock) and
  renamed to `<name>.sending` before it is sent, and answered by `<name>.done`: {"error": text or null, "unknown": bool}. The
  lock lives as long as the gateway that sends: a `.sending` that nobody holds was left by a crash, may have been sent, and is
  answered as unknown. Nothing is sent twice.

Every fault in here ends in what Hermes would do without this file. Whatever is said goes to the gateway's log.

`settings.json` beside this file names the state folder; the environment's HERMES_SUPERVISOR_STATE goes before it.
HERMES_SUPERVISOR_TICK_SECONDS, for tests, is another length for the built-in's 60 seconds between two ticks.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cron.scheduler_provider import InProcessCronScheduler
from hermes_constants import get_default_hermes_root, get_hermes_home

log = logging.getLogger("hermes_supervisor")

FOLDER = Path(__file__).resolve().parent
SETTINGS = FOLDER / "settings.json"
# Says which gateway has loaded this file, so that `gateway status` need not guess.
LOADED = FOLDER / "loaded.json"

LOOK_SECONDS = 1.0
# A daemon that is started anew is away for about a second: too short to change hands.
GONE_SECONDS = 3.0
OUTBOX_SECONDS = 0.2
SENDS_AT_ONCE = 4


class Daemon:
    """Whether the supervisor's daemon lives, as its lock tells: the kernel frees it with the process."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._attached = SETTINGS.exists()
        self._seen_at: float | None = None

    def holds_lock(self) -> bool:
        # Detached while this gateway runs: nothing of ours may hold it back any more.
        if self._attached and not SETTINGS.exists():
            return False
        return is_locked(self.state / "daemon.lock")

    def lives(self) -> bool:
        """Stays true for a moment after its end, so that a quick restart of the daemon moves nothing."""
        now = time.monotonic()
        if self.holds_lock():
            self._seen_at = now
        return self._seen_at is not None and now - self._seen_at < GONE_SECONDS

    def left_runs(self, home: Path) -> tuple[set[str], bool]:
        """The home's jobs of which a run outlived the daemon, and whether there is such a run whose job is not known."""
        jobs: set[str] = set()
        is_any_unknown = False
        for folder in (self.state / "runs").iterdir():
            # Without `started` nothing ran; with `exit` its program has ended.
            if not (folder / "started").exists() or (folder / "exit").exists() or not is_locked(folder / "alive"):
                continue
            try:
                spec = json.loads((folder / "spec.json").read_text("utf-8"))
                if Path(spec["home_path"]).resolve() == home:
                    jobs.add(str(spec["job_id"]))
            except (OSError, ValueError, KeyError):
                is_any_unknown = True
        return jobs, is_any_unknown


def is_locked(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except Exception:
        # What cannot be looked at holds nothing back.
        return False
    return False


def keep_apart(daemon: Daemon) -> None:
    """Adds to Hermes' ticker what it does not know when it takes over.

    A job whose run outlived the daemon stays due until that run has ended. A claim of which the process is dead counts no more:
    0.22 sees that by itself, 0.20 would leave the job alone until the claim is 300 s old. Before 0.20 the ticker's own runs carry
    no claim that the daemon could see when it returns: they hold the job's fence here (`cron/.fire-<hex>.lock`), which the
    daemon asks for before it starts a job.
    """
    from cron import jobs, scheduler

    if getattr(scheduler.get_due_jobs, "keeps_apart", False):
        return
    get_due_jobs = scheduler.get_due_jobs

    def get_free_jobs(*args: Any, **kwargs: Any) -> Any:
        due = get_due_jobs(*args, **kwargs)
        try:
            left, is_any_unknown = daemon.left_runs(Path(get_hermes_home()).resolve())
            free = [job for job in due if job.get("id") not in left and not (is_any_unknown and job.get("fire_claim"))]
            if not hasattr(jobs, "_claim_owner_is_dead"):
                for job in free:
                    drop_dead_claim(jobs, job)
            return free
        except FileNotFoundError:
            return due
        except Exception:
            log.exception("cannot look after what the supervisor left")
            return due

    get_free_jobs.keeps_apart = True  # type: ignore[attr-defined]
    scheduler.get_due_jobs = get_free_jobs
    if hasattr(jobs, "_fire_job_lock"):
        return
    run_one_job = scheduler.run_one_job

    def run_fenced(job: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            try:
                fence = stack.enter_context(open(fence_path(str(job["id"])), "ab"))
                fcntl.flock(fence, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except Exception as error:
                log.warning("runs without its fence: %s", error)
            return run_one_job(job, *args, **kwargs)

    scheduler.run_one_job = run_fenced


def drop_dead_claim(jobs: Any, job: dict[str, Any]) -> None:
    """Only if it is still the claim that was seen; whoever made another one meanwhile keeps it."""
    owner = str((job.get("fire_claim") or {}).get("by", ""))
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit() or is_process(int(pid)):
        return
    with jobs._jobs_lock():
        records = jobs.load_jobs()
        for record in records:
            if record.get("id") == job.get("id") and (record.get("fire_claim") or {}).get("by") == owner:
                record["fire_claim"] = None
                jobs.save_jobs(records)


def is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def fence_path(job_id: str) -> Path:
    folder = (Path(get_hermes_home()) / "cron").resolve()
    return folder / f".fire-{uuid.uuid5(uuid.NAMESPACE_URL, f'{folder}::{job_id}').hex}.lock"


class WakingEvent:
    """The gateway's stop event, but a wait on it also ends when the daemon has gone: the built-in ticks then at once."""

    def __init__(self, event: threading.Event, daemon: Daemon, interval: float) -> None:
        self._event = event
        self._daemon = daemon
        self._interval = interval
        # 0.22 counts its ticks from a fixed start and would make up for a wait that ended early by a longer one.
        self._ahead = 0.0
        self._stood_down: bool | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            return self._event.wait()
        try:
            return self._wait(timeout)
        except Exception:
            # A tick is worth more than its moment: the ticker's thread ends with whatever comes out of here.
            log.exception("cannot look after the supervisor")
            return self._event.wait(timeout)

    def _wait(self, timeout: float) -> bool:
        if timeout > self._interval:
            timeout -= self._ahead
        else:
            self._ahead = 0.0
        end = time.monotonic() + timeout
        while True:
            # Kept from one wait to the next: the supervisor may come or go while a tick is under way.
            stood_down, self._stood_down = self._stood_down, self._daemon.lives()
            if stood_down and not self._stood_down:
                log.warning("the supervisor is gone: this gateway runs the cron jobs until it is back")
                self._ahead += max(0.0, end - time.monotonic())
                return self._event.is_set()
            if self._stood_down and stood_down is False:
                log.info("the supervisor is back: it runs the cron jobs")
            rest = end - time.monotonic()
            if rest <= 0:
                return self._event.is_set()
            if self._event.wait(min(LOOK_SECONDS, rest)):
                return True


class Outbox:
    """Sends the supervisor's messages for the homes that this gateway serves."""

    def __init__(self, state: Path, adapters: Any, loop: Any, profiles: dict[str, Any]) -> None:
        self._folder = state / "outbox"
        self._adapters = adapters
        self._loop = loop
        self._profiles = profiles
        self._launch_home = home_name(Path(get_hermes_home()))
        self._room = threading.BoundedSemaphore(SENDS_AT_ONCE)

    def drain(self, stop_event: threading.Event) -> None:
        said: set[str] = set()
        while not stop_event.wait(OUTBOX_SECONDS):
            for ending, act in ((".sending", self._answer_left), (".json", self._take)):
                for path in sorted(self._folder.glob(f"*{ending}")):
                    try:
                        act(path)
                    except Exception as error:
                        # The same fault each time is said once, and keeps no other message waiting.
                        if (text := f"{path}: {error}") not in said:
                            said.add(text)
                            log.exception("could not send %s", path)

    def _take(self, path: Path) -> None:
        message = read_message(path)
        home = None if message is None else str(message.get("home") or "default")
        if (home is not None and home not in self._homes()) or not self._room.acquire(timeout=1):
            return
        lock: IO[bytes] | None = None
        try:
            lock = lock_message(path)
            if lock is None:
                self._room.release()
                return
            claimed = path.with_suffix(".sending")
            os.rename(path, claimed)
            threading.Thread(
                target=self._send, args=(claimed, lock, message, home), name="hermes-supervisor-send", daemon=True
            ).start()
        except BaseException:
            if lock is not None:
                lock.close()
            self._room.release()
            raise

    def _send(self, claimed: Path, lock: IO[bytes], message: dict[str, Any] | None, home: str | None) -> None:
        try:
            with lock:
                try:
                    if message is None or home is None:
                        raise ValueError("the message is no JSON object")
                    error = self._deliver(message, home)
                except BaseException as fault:
                    error = f"{type(fault).__name__}: {fault}"
                answer(claimed, error, unknown=False)
        except Exception:
            log.exception("could not answer %s", claimed)
        finally:
            self._room.release()

    def _deliver(self, message: dict[str, Any], home: str) -> str | None:
        from cron.scheduler import _deliver_result as deliver

        more: dict[str, Any] = {}
        if "for_failure" in inspect.signature(deliver).parameters:
            more["for_failure"] = bool(message.get("for_failure"))
        with self._scope(home):
            adapters = self._adapters_of(home)
            error = deliver(message["job"], message["content"], adapters=adapters, loop=self._loop, **more)
        return None if error is None else str(error)

    def _answer_left(self, path: Path) -> None:
        message = read_message(path)
        if message is not None and str(message.get("home") or "default") not in self._homes():
            return
        lock = lock_message(path)
        if lock is None:
            return
        with lock:
            answer(path, "The gateway ended while it sent this: it may have arrived or not", unknown=True)

    def _homes(self) -> dict[str, Path | None]:
        """By name, the homes of this gateway; None for the one that needs no scope of its own."""
        listed = self._profiles.get("profile_homes")
        entries = listed() if callable(listed) else listed
        if not entries:
            return {self._launch_home: None}
        homes = [Path(entry[1] if isinstance(entry, tuple) else entry) for entry in entries]
        return {home_name(home): home for home in homes}

    def _adapters_of(self, home: str) -> Any:
        """As the built-in ticker chooses them: a profile's own, and never another profile's bot without a route."""
        by_profile = self._profiles.get("profile_adapters")
        if home == self._launch_home or "profile_adapters" not in self._profiles:
            return self._adapters
        own = (by_profile or {}).get(home) or {}
        if own or not self._adapters:
            return own
        from cron.scheduler_preflight import SharedRouteAdapters, _primary_profile_routes_for_current_home

        return SharedRouteAdapters(self._adapters, _primary_profile_routes_for_current_home())

    @contextlib.contextmanager
    def _scope(self, name: str) -> Iterator[None]:
        home = self._homes().get(name)
        if home is None:
            yield
            return
        from cron.jobs import use_cron_store
        from gateway.run import _profile_runtime_scope

        with _profile_runtime_scope(home), use_cron_store(home):
            yield


def read_message(path: Path) -> dict[str, Any] | None:
    """None for what can never be sent, and for a file that another gateway has taken meanwhile: it cannot be locked then."""
    try:
        message = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def lock_message(path: Path) -> IO[bytes] | None:
    """The message's file with its lock, or None when another gateway has it or has moved it meanwhile."""
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here = os.stat(path)
        held = os.fstat(file.fileno())
        if (here.st_dev, here.st_ino) == (held.st_dev, held.st_ino):
            return file
    except OSError:
        pass
    file.close()
    return None


def answer(claimed: Path, error: str | None, *, unknown: bool) -> None:
    """The answer is there before the message goes: a crash between leaves both, and the answer counts."""
    done = claimed.with_suffix(".done")
    if not done.exists():
        temporary = claimed.with_suffix(".answer")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"error": error, "unknown": unknown}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, done)
    claimed.unlink(missing_ok=True)


def home_name(home: Path) -> str:
    """As the supervisor calls it: `default` for the root home, else the profile's name."""
    root = Path(get_default_hermes_root()).resolve()
    path = home.resolve()
    return "default" if path == root else path.name


def is_standalone() -> bool:
    """Whether the home is a profile that has asked to be left to its own gateway: the supervisor runs none of its jobs."""
    from hermes_cli.config import load_config

    gateway = load_config().get("gateway")
    standalone = isinstance(gateway, dict) and gateway.get("standalone") is True
    return standalone and home_name(Path(get_hermes_home())) != "default"


def state_folder() -> Path | None:
    """None without one that can be told: then nothing of this file has a say."""
    named = os.environ.get("HERMES_SUPERVISOR_STATE", "").strip()
    if named:
        return Path(named)
    try:
        return Path(json.loads(SETTINGS.read_text("utf-8"))["state"])
    except Exception as error:
        log.warning("cannot read %s (%s): Hermes' own ticker runs the cron jobs", SETTINGS, error)
        return None


def tick_seconds(interval: float) -> float:
    try:
        return float(os.environ["HERMES_SUPERVISOR_TICK_SECONDS"])
    except (KeyError, ValueError):
        return interval


class SupervisorScheduler(InProcessCronScheduler):  # type: ignore[misc, unused-ignore]
    """Hermes' built-in ticker with the supervisor's life as one more condition. A provider that is no subclass of the
    built-in is refused by 0.22 as soon as a second profile exists."""

    def __init__(self) -> None:
        state = state_folder()
        self._daemon = None if state is None else Daemon(state)

    @property
    def name(self) -> str:
        # While the built-in does the work, `hermes cron status` is to judge it by its heartbeat.
        return "hermes-supervisor" if self._daemon is not None and self._daemon.holds_lock() else "builtin"

    def start(self, stop_event: threading.Event, **kwargs: Any) -> None:
        event: Any = stop_event
        changed = dict(kwargs)
        try:
            if self._daemon is not None and not is_standalone():
                event = self._join(self._daemon, stop_event, changed)
        except Exception:
            log.exception("cannot work beside the supervisor: Hermes' own ticker runs the cron jobs")
            event, changed = stop_event, kwargs
        super().start(event, **changed)

    def _join(self, daemon: Daemon, stop_event: threading.Event, kwargs: dict[str, Any]) -> WakingEvent:
        try:
            keep_apart(daemon)
        except Exception:
            log.exception("this Hermes is not known: a run that outlives the supervisor may be started a second time")
        kwargs["interval"] = tick_seconds(float(kwargs.get("interval") or 60))
        gateway_can: Callable[[], bool] | None = kwargs.get("can_dispatch")
        kwargs["can_dispatch"] = lambda: not daemon.lives() and (gateway_can is None or gateway_can())
        # Only a gateway has a loop and adapters; the desktop's backend has a ticker alone.
        if kwargs.get("loop") is not None:
            names = ["profile_homes", "profile_adapters"]
            profiles = {name: kwargs[name] for name in names if name in kwargs}
            outbox = Outbox(daemon.state, kwargs.get("adapters"), kwargs["loop"], profiles)
            threading.Thread(
                target=outbox.drain, args=(stop_event,), name="hermes-supervisor-outbox", daemon=True
            ).start()
            with contextlib.suppress(OSError):
                LOADED.write_text(json.dumps({"pid": os.getpid()}), "utf-8")
        who = "the supervisor runs the cron jobs" if daemon.lives() else "no supervisor is there"
        log.info("attached to the supervisor in %s: %s", daemon.state, who)
        return WakingEvent(stop_event, daemon, kwargs["interval"])


def register(ctx: Any) -> None:
    ctx.register_cron_scheduler(SupervisorScheduler())
