"""Runs one prompt job with the Hermes of this interpreter, or answers a short question about it.

    python hermes_worker.py                               the job in $HERMES_SUPERVISOR_RUN_DIR/job.json
    python hermes_worker.py ask <question> <answer>       one of `answer_question`

Every release of Hermes is served by this one file: it asks for functions, parameters and fields, never for a version.
What Hermes keeps in `run_one_job` and not in `run_job` is applied here, with its own helpers where it has them.
The store, the ledger and the output documents are the daemon's: nothing here writes them but `run_job` itself.

The answer is on disk before anything else happens, and the process leaves by `os._exit`: Hermes leaves threads behind,
and one of them may wait for a model that never answers. No answer means that the process died, and of what is seen by
its parent.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypedDict

Record = dict[str, Any]

GATE = 3
NOTHING_RAN = 79
"""What gate.bash says as well when its gate ends before it opens."""

TEARDOWN_SECONDS = 10.0
"""How long Hermes may take to end what its agent started, once the answer is safe."""

REMOTE_SECONDS = 60.0
"""The same where it worked elsewhere: files come back from there, and a container takes ten seconds to stop."""

INTERRUPT_SECONDS = 3.0
"""How long of it a stopped agent may take to end the command that it waits for."""

ANSWER_CHARACTERS = 8 << 20
"""A longer answer is not read by the daemon. Texts of this one are cut: none that a person has written is so long."""

TEXT_CHARACTERS = 1 << 18
"""What is left of each text of an answer that is too long, even if all of it has to be escaped."""

EMPTY_RESPONSE = "Agent completed but produced empty response (model error, timeout, or misconfiguration)"


class Answer(TypedDict):
    """What came of a run, as `protocol.ts` describes it."""

    version: int
    success: bool
    document: str
    final_text: str
    error: str | None
    status: str
    silent: bool
    deliver: str | None
    for_failure: bool
    alert_once: bool
    fields: Record
    counted: bool
    incident: str | None
    removed_itself: bool
    hermes: str


class Stopped(BaseException):
    """The daemon asked the run to end. No `Exception`, so that nothing on the way takes it for a failed step."""


# --- Hermes, asked for what it has ------------------------------------------------------------------------------------


def find(module: str, *names: str) -> Any:
    """The first of `names` that `module` has, or None; the module itself when no name is asked for."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    if not names:
        return found
    return next((getattr(found, name) for name in names if hasattr(found, name)), None)


def takes(function: Callable[..., Any], parameter: str) -> bool:
    return parameter in inspect.signature(function).parameters


def hermes_home() -> Path:
    home = find("hermes_constants", "get_hermes_home")
    if home is not None:
        return Path(home())
    return Path(os.environ.get("HERMES_HOME") or Path.home() / ".hermes")


def distribution() -> tuple[str, str]:
    """Name and version of the installed package that Hermes' scheduler came with."""
    for one in importlib.metadata.distributions():
        if "cron" in (one.read_text("top_level.txt") or "").split():
            name = str(one.metadata["Name"])
            if "hermes" in name.lower():
                return name, str(one.version)
    return "hermes-agent", str(find("hermes_cli", "__version__") or "unknown")


def enter_checkout() -> None:
    """Brings in an installation from source, which its interpreter does not know: by its own bootstrap, as its launcher does."""
    root = os.environ.get("HERMES_PYTHON_SRC_ROOT")
    if root and importlib.util.find_spec("hermes_constants") is None:
        sys.path.insert(0, root)
        importlib.import_module("hermes_bootstrap")


def setting(section: str, key: str, default: Any) -> Any:
    """A value of the home's config, or `default` when it cannot be read: then Hermes goes on with its own as well."""
    load = find("hermes_cli.config", "load_config")
    try:
        config = load()
        return (config.get(section) or {}).get(key, default)
    except Exception:
        return default


# --- The gate ---------------------------------------------------------------------------------------------------------


LATE_MODULES = (
    "agent.agent_init",
    "agent.anthropic_adapter",
    "agent.bedrock_adapter",
    "agent.chat_completion_helpers",
    "agent.coding_context",
    "agent.conversation_loop",
    "agent.credits_tracker",
    "agent.prompt_builder",
    "agent.subagent_lifecycle",
    "agent.system_prompt",
    "agent.transports.chat_completions",
    "hermes_cli.observability.relay_shared_metrics",
    "hermes_cli.profile_distribution",
    "hermes_cli.profiles",
    "hermes_cli.tools_config",
    "nemo_relay",
    "tools.checkpoint_manager",
    "tools.mcp_tool",
    "tools.mcp_tool_discovery",
    "unittest.mock",
)
"""What a run imports between its start and its first request, in one release or another: up to 0.2 s of work.

What they read of the environment is as it will be. `gateway.run`, which 0.20 imports there, changes it, and is not here.
"""


def warm_up() -> None:
    """Loads what the first request needs. The request is the same as without it, and so is the environment."""
    # Looking for garbage among modules that are being loaded finds little and takes a sixth of the time.
    gc.disable()
    start_environment_probe()
    # A release that lacks a step, or cannot do it now, does it in the run, or says there why not.
    steps: Sequence[Callable[[], object]] = (
        lambda: importlib.import_module("cron.scheduler"),
        lambda: importlib.import_module("run_agent"),
        lambda: find("model_tools", "get_tool_definitions")(quiet_mode=True),
        load_client,
        *(functools.partial(importlib.import_module, name) for name in LATE_MODULES),
        lambda: find("tools.env_probe", "get_environment_probe_line")(),
    )
    for step in steps:
        with contextlib.suppress(Exception):
            step()
    # Counts as old without having been looked through, which is left to the next full collection.
    gc.freeze()
    gc.unfreeze()
    gc.enable()


def start_environment_probe() -> None:
    """Starts what Hermes wants to know of the machine: subprocesses of about half a second, beside the imports."""
    with contextlib.suppress(Exception):
        start = find("tools.env_probe", "warm_environment_probe_async")
        if start is not None:
            start()


def load_client() -> None:
    """The client's own lazy imports cost a fifth of a second. Nothing is sent."""
    client = find("openai", "OpenAI")(api_key="none", base_url="http://127.0.0.1:9/v1")
    _ = client.chat.completions
    client.close()


def read_gate() -> list[str] | None:
    """The lines that opened the gate, or None when it ended before "go"."""
    got = b""
    while True:
        lines = got.split(b"\n")[:-1]
        if len(lines) > 3 and (lines[3] == b"go" or len(lines) > 6):
            order = [os.fsdecode(line) for line in lines]
            return order if order[3] == "go" or order[6] == "go" else None
        try:
            chunk = os.read(GATE, 4096)
        except OSError:
            return None
        if not chunk:
            return None
        got += chunk


def wait_at_gate(run: Path, own: str) -> None:
    """Waits, warm, until the daemon opens the gate. Unless it does, the process leaves and nothing was made."""
    os.set_inheritable(GATE, False)
    folder = os.getcwd()
    started_in = os.stat(folder)
    warm_up()
    # Some of the garbage holds files open. What is left stays, and need not be looked through during the run.
    gc.collect()
    gc.freeze()
    # The daemon starts the next one when this one needs its core no more.
    with contextlib.suppress(OSError):
        (run / "loaded").touch(0o600)
    order = read_gate()
    if order is None:
        os._exit(NOTHING_RAN)
    try:
        started = os.open(run / "started", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError:
        os._exit(NOTHING_RAN)
    # The environment that this process was born with names no job: who looks for a job's processes reads it here.
    with contextlib.suppress(OSError):
        os.write(started, os.fsencode(f"{order[0]}\n"))
    os.close(started)
    os.close(GATE)
    os.environ["HERMES_SUPERVISOR_JOB_ID"] = order[0]
    os.environ["HERMES_SUPERVISOR_ATTEMPT"] = order[1]
    os.environ["HERMES_SUPERVISOR_SCHEDULED_AT"] = order[2]
    is_other = order[3] != "go"
    if is_other or not is_same_folder(started_in, folder):
        # It is to be another program, or its folder is not the one any more: begin anew, cold, as what was asked for.
        folder, program, argument = order[3:6] if is_other else (folder, sys.executable, own)
        os.chdir(folder)
        os.execvp(program, [program, argument])


def is_same_folder(before: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(before, os.stat(path))
    except OSError:
        return False


# --- A run ------------------------------------------------------------------------------------------------------------


class Run:
    """One job on its way through Hermes: what it was given, and what has to be ended afterwards."""

    def __init__(self, job: Record, execution_id: str | None, scheduled_at: str, is_warm: bool = False) -> None:
        self.job = job
        self.is_warm = is_warm
        self.id = str(job.get("id") or "")
        self.name = str(job.get("name") or self.id)
        self.execution_id = execution_id
        if execution_id is not None:
            job["execution_id"] = execution_id
        # Hermes carries the instant that was served in memory only: retries and parked jobs look at it.
        instant = find("cron.occurrences", "scheduled_instant")
        if instant is not None and scheduled_at:
            job["_scheduled_instant"] = instant(scheduled_at)
        self.agents: list[Any] = []
        self.incident: str | None = None
        self.document: str | None = None
        self.removed_itself = False
        self.connections: str | None = None
        self.stopped = False

    def answer(self) -> Answer:
        """Never raises: whatever Hermes does becomes an answer that a person understands."""
        try:
            return self.judge(*self.perform())
        except Exception as error:
            traceback.print_exc()
            return self.failed(words_of(error) or type(error).__name__)
        except Stopped:
            self.stopped = True
            return self.failed("Stopped before the run was over")
        except BaseException as error:
            traceback.print_exc()
            said = words_of(error)
            return self.failed(f"Hermes ended the run early by {type(error).__name__}{said and f': {said}'}")

    def perform(self) -> tuple[bool, str, str, str | None]:
        if not self.is_warm:
            warm_up()
        try:
            scheduler = importlib.import_module("cron.scheduler")
        except ImportError as missing:
            raise RuntimeError(f"Cannot load Hermes from {sys.executable}: {missing}") from missing
        # It brings the config's terminal settings into the environment, which what follows looks at.
        importlib.import_module("run_agent")
        run_job = scheduler.run_job
        offered: Record = {
            "defer_agent_teardown": self.agents,
            "extra_prompt": self.job.get("manual_run_prompt") if self.job.get("manual_run_at") else None,
            "execution_id": self.execution_id,
        }
        arguments = {name: value for name, value in offered.items() if takes(run_job, name)}
        settle_terminal_folder()
        self.connections = connect_alone()
        register_hooks()
        with self.scopes(scheduler):
            try:
                success, document, final_text, error = run_job(self.job, **arguments)
            finally:
                self.removed_itself = self.may_speak_removed()
        self.document = str(document or "")
        return bool(success), self.document, str(final_text or ""), None if error is None else str(error)

    @contextlib.contextmanager
    def scopes(self, scheduler: Any) -> Iterator[None]:
        """What `run_one_job` binds around a run: secrets, terminal policy, identity, and leave to remove its own job."""
        with contextlib.ExitStack() as stack:
            self_removal = find("cron.jobs", "self_removal_delivery_scope")
            if self_removal is not None:
                stack.enter_context(self_removal(self.id))
            secrets = getattr(scheduler, "_fire_secret_scope", None) or profile_secrets
            stack.enter_context(secrets())
            identify = find("cron.execution_identity", "enter_cron_execution")
            if identify is not None and self.execution_id is not None:
                token = identify(self.job, self.execution_id, self.ledger_row())
                stack.callback(find("cron.execution_identity", "exit_cron_execution"), token)
            terminal = find("tools.terminal_scope", "install_profile_terminal_scope")
            if terminal is not None:
                token = terminal(hermes_home())
                stack.callback(find("tools.terminal_scope", "reset_terminal_scope"), token)
            yield

    def may_speak_removed(self) -> bool:
        """Whether the result of a job that is in the store no more is delivered: where Hermes looks, only if the run removed it."""
        jobs = find("cron.jobs")
        by_itself = getattr(jobs, "self_removal_delivery_allowed", None)
        try:
            return not hasattr(jobs, "fire_claim_fence") if by_itself is None else bool(by_itself(self.id))
        except Exception:
            return False

    def ledger_row(self) -> Record:
        """The daemon's row of this run, from a ledger that is there: looking must not make one."""
        read = find("cron.executions", "get_execution")
        if read is None or not (hermes_home() / "cron" / "executions.db").exists():
            return {}
        with contextlib.suppress(Exception):
            return dict(read(self.execution_id) or {})
        return {}

    def judge(self, success: bool, document: str, final_text: str, error: str | None) -> Answer:
        """The rules of `run_one_job` from the end of `run_job` to what it marks in the store."""
        scheduler = importlib.import_module("cron.scheduler")
        declared = False
        marker = getattr(scheduler, "_cron_failure_marker_error", None)
        if success and marker is not None and not self.job.get("no_agent"):
            evidence = marker(final_text)
            if evidence is not None:
                success, error, declared = False, str(evidence), True
        blocked = not success and has_marker(scheduler, "BLOCKED_CONFIG", error)
        text, told_before = self.compose(scheduler, success, error, final_text, declared)
        silent = success and bool(text.strip()) and bool(scheduler._is_cron_silence_response(text))
        deliver = text if text.strip() and not told_before and not silent and not self.retries(success) else None
        if success and not final_text.strip():
            success, error = False, EMPTY_RESPONSE
        fields, counted = self.plan(success)
        return {
            "version": 1,
            "success": success,
            "document": document,
            "final_text": final_text,
            "error": error,
            "status": "ok" if success else "blocked_config" if blocked else "error",
            "silent": silent,
            "deliver": deliver,
            "for_failure": not success,
            "alert_once": blocked and deliver is not None,
            "fields": fields,
            "counted": counted,
            "incident": self.incident,
            "removed_itself": self.removed_itself,
            "hermes": distribution()[1],
        }

    def compose(
        self, scheduler: Any, success: bool, error: str | None, final_text: str, declared: bool
    ) -> tuple[str, bool]:
        """The text to deliver, and whether the user was told of this already."""
        own = getattr(scheduler, "_compose_run_delivery", None)
        if own is not None:
            composed = own(
                self.job,
                success=success,
                error=error,
                final_response=final_text,
                output_file=None,
                agent_declared=declared,
            )
            text, _, told_before, _, self.incident = composed
            return str(text or ""), bool(told_before)
        if success:
            return final_text, False
        for kind, form in (
            (
                "BLOCKED_CONFIG",
                "⛔ Cron '{name}' blocked by configuration validation (no LLM call was made): {reason} "
                "This alert is sent once; the job stays blocked until the configuration is fixed.",
            ),
            ("DRIFT_SKIP", "⚠️ Cron '{name}' skipped: {reason}"),
        ):
            if has_marker(scheduler, kind, error):
                word = str(getattr(scheduler, f"{kind}_MARKER")).strip("[]")
                reason = re.sub(rf"\[{re.escape(word)}[^\]]*\]\s*", "", str(error)).strip()
                silent = getattr(scheduler, f"{kind}_SILENT_MARKER", None)
                return form.format(name=self.name, reason=reason), silent is not None and str(silent) in str(error)
        return str(scheduler._summarize_cron_failure_for_delivery(self.job, error) or ""), False

    def retries(self, success: bool) -> bool:
        """Whether Hermes runs the job again by itself soon, because the model was never reached: then it tells nobody."""
        will_retry = find("cron.unreachable_retry", "will_retry")
        return bool(not success and self.job.get("_model_unreachable") and will_retry and will_retry(self.job))

    def plan(self, success: bool) -> tuple[Record, bool]:
        """What else Hermes stores after this run (null: the field goes), and whether the run counts towards `repeat`.

        Retries after an unreachable model and holds over a closed quota move `next_run_at`, which Hermes decides from
        the next slot of the schedule. A copy of the record is taken through its own functions.
        """
        retry, hold, jobs = find("cron.unreachable_retry"), find("cron.quota_hold"), find("cron.jobs")
        if retry is None or hold is None or not hasattr(jobs, "_advance_after_run"):
            return {}, True
        after = copy.deepcopy(self.job)
        moved = False
        try:
            # One that tries an occurrence again does not count, however it ends.
            counted = not retry.is_retry_run(self.job)
            jobs._advance_after_run(after, find("hermes_time", "now")().isoformat(), ladder_rung=not counted)
            failed = not success and not jobs.is_terminal_job(after)
            if failed and after.get("_model_unreachable"):
                moved = bool(retry.plan_retry(after))
            else:
                retry.clear_state(after)
            seconds = after.get("_quota_hold_seconds")
            if failed and seconds:
                recover = bool(after.get("_scheduled_instant"))
                moved = bool(hold.plan_hold(after, seconds, recover_consumed_fire=recover)) or moved
            else:
                hold.clear_state(after)
        except Exception:
            traceback.print_exc()
            return {}, True
        names = (retry.STATE_KEY, hold.STATE_KEY, hold.SCHEDULE_EXPR_KEY)
        fields = {name: after.get(name) for name in names if after.get(name) != self.job.get(name)}
        if moved:
            fields["next_run_at"] = after["next_run_at"]
        return fields, counted

    def failed(self, error: str) -> Answer:
        """A run that `run_job` did not bring to its end. Hermes saves no document of it; ours says what happened."""
        trace = traceback.format_exc() if sys.exc_info()[0] not in (None, Stopped) else error
        deliver = self.failure_notice(error)
        # What Hermes found out about the failure of a run counts only where that run came to its end.
        for flag in ("_model_unreachable", "_quota_hold_seconds"):
            self.job.pop(flag, None)
        fields, counted = self.plan(False)
        document = self.document
        if document is None:
            document = (
                f"# Cron Job: {self.name} (FAILED)\n\n**Job ID:** {self.id}\n**Run Time:** {local_time()}\n"
                f"**Schedule:** {self.job.get('schedule_display', 'N/A')}\n\n"
                f"## Error\n\n```\n{trace.rstrip()}\n```\n"
            )
        return {
            "version": 1,
            "success": False,
            "document": document,
            "final_text": "",
            "error": error,
            "status": "error",
            "silent": False,
            "deliver": deliver,
            "for_failure": True,
            "alert_once": False,
            "fields": fields,
            "counted": counted,
            "incident": self.incident,
            "removed_itself": self.removed_itself,
            "hermes": distribution()[1],
        }

    def failure_notice(self, error: str) -> str | None:
        """What the user is told of a run that did not come to an end; null when the same was told not long ago."""
        scheduler = find("cron.scheduler")
        try:
            upsert = getattr(scheduler, "_upsert_incident_for_failure", None)
            if upsert is not None:
                withheld, self.incident = upsert(self.job, error)
                if withheld:
                    return None
            nudge = getattr(scheduler, "_failure_streak_nudge", None)
            notice = str(scheduler._summarize_cron_failure_for_delivery(self.job, error))
            return notice if nudge is None else f"{notice}{nudge(self.job)}"
        except Exception:
            return f"⚠️ Cron '{self.name}' failed: {error}"

    def tear_down(self) -> None:
        """Ends what the agent started. It is bounded, and what it leaves is the daemon's to end."""
        tear_down = find("cron.scheduler", "_teardown_cron_agent")

        def end() -> None:
            if self.stopped:
                interrupt_tools()
            for agent in self.agents:
                with contextlib.suppress(Exception):
                    tear_down(agent, self.id)
            end_terminals()
            if self.connections is not None:
                shutil.rmtree(self.connections, ignore_errors=True)
            end_tool_servers()

        ending = threading.Thread(target=end, daemon=True)
        ending.start()
        ending.join(TEARDOWN_SECONDS if is_local(terminals()) else REMOTE_SECONDS)


def terminals() -> Record:
    """The places where this process has run commands, as Hermes keeps them for later turns: containers, sandboxes, connections."""
    return dict(getattr(sys.modules.get("tools.terminal_tool"), "_active_environments", {}))


def is_local(places: Record) -> bool:
    return all(type(place).__name__ == "LocalEnvironment" for place in places.values())


def end_terminals() -> None:
    """A gateway ends them once they are idle, and with itself; each by what it is set to: brought back, stopped, or left for the next."""
    places = terminals()
    if not places:
        return
    end = find("tools.terminal_tool_lifecycle", "cleanup_vm") or find("tools.terminal_tool", "cleanup_vm")
    for name, place in places.items():
        with contextlib.suppress(Exception):
            end(name)
            wait = getattr(place, "wait_for_cleanup", None)
            if wait is not None:
                wait(timeout=REMOTE_SECONDS)


def end_tool_servers() -> None:
    """A gateway keeps the MCP servers that a run has started; those of a process that leaves have nobody left."""
    for module in ("tools.mcp_tool", "tools.mcp_tool_lifecycle"):
        shut_down = getattr(sys.modules.get(module), "shutdown_mcp_servers", None)
        if shut_down is not None:
            with contextlib.suppress(Exception):
                shut_down()


def interrupt_tools() -> None:
    """A command in the foreground ends only when the thread that waits for it is told that it is interrupted."""
    interrupt = find("tools.interrupt", "set_interrupt")
    with contextlib.suppress(Exception):
        for thread in threading.enumerate():
            interrupt(True, thread.ident)
        await_children(INTERRUPT_SECONDS)


def await_children(seconds: float) -> None:
    """Returns once this process has no child, or the time is over."""
    end = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            # WNOWAIT: it is Hermes that waits for its children, here they are only looked at.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            time.sleep(0.05)


def words_of(error: BaseException) -> str:
    """What an exception says of itself, which is a program of its own and may fail."""
    try:
        return str(error)
    except Exception:
        return ""


def has_marker(scheduler: Any, kind: str, error: str | None) -> bool:
    markers = (getattr(scheduler, f"{kind}_MARKER", None), getattr(scheduler, f"{kind}_SILENT_MARKER", None))
    return any(marker is not None and str(marker) in str(error) for marker in markers)


def local_time() -> str:
    """Now, in the zone that Hermes is set to."""
    now = find("hermes_time", "now")
    with contextlib.suppress(Exception):
        return str(now().strftime("%Y-%m-%d %H:%M:%S"))
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


@contextlib.contextmanager
def profile_secrets() -> Iterator[None]:
    """The home's own secrets, for releases whose scheduler has no scope of its own to enter."""
    scope = find("agent.secret_scope")
    if scope is None:
        yield
        return
    token = scope.set_secret_scope(scope.build_profile_secret_scope(hermes_home()))
    try:
        yield
    finally:
        scope.reset_secret_scope(token)


def settle_terminal_folder() -> None:
    """A gateway has its agents work in the user's home unless the config names a folder; a run does likewise."""
    resolve = find("gateway.cwd_placeholder", "resolve_placeholder_terminal_cwd")
    if resolve is None:
        return
    configured = os.environ.get("TERMINAL_CWD", "")
    if configured and configured not in find("gateway.cwd_placeholder", "CWD_PLACEHOLDERS"):
        return
    mounts = os.environ.get("TERMINAL_DOCKER_MOUNT_CWD_TO_WORKSPACE", "false").lower() in {"true", "1", "yes"}
    folder = resolve(
        configured_cwd=configured,
        terminal_backend=os.environ.get("TERMINAL_ENV", ""),
        messaging_cwd=os.environ.get("MESSAGING_CWD"),
        docker_mount_cwd_to_workspace=mounts,
        home_fallback=str(Path.home()),
    )
    if folder is None:
        os.environ.pop("TERMINAL_CWD", None)
    else:
        os.environ["TERMINAL_CWD"] = folder


def connect_alone() -> str | None:
    """Gives this run ssh connections of its own, in the folder that it returns: who ends one ends it for all that share it."""
    if "ssh" not in (os.environ.get("TERMINAL_ENV"), setting("terminal", "backend", "local")):
        return None
    remote = find("tools.environments.ssh")
    if not hasattr(remote, "tempfile"):
        return None
    # The path of a socket must be short.
    folder = tempfile.mkdtemp(prefix="hermes-ssh-", dir="/tmp" if os.access("/tmp", os.W_OK) else None)
    remote.tempfile = types.SimpleNamespace(**{**vars(tempfile), "gettempdir": lambda: folder})
    return folder


def register_hooks() -> None:
    """The user's shell hooks and webhooks, which a gateway registers when it starts. A broken one is only said."""
    load = find("hermes_cli.config", "load_config")
    for module in ("agent.shell_hooks", "agent.outbound_webhooks"):
        register = find(module, "register_from_config")
        if load is None or register is None:
            continue
        try:
            if takes(register, "accept_hooks"):
                register(load(), accept_hooks=False)
            else:
                register(load())
        except Exception:
            traceback.print_exc()


def name_levels() -> None:
    """What Hermes logs without a handler of its own says how grave it is: a warning is not what a process dies of."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


def run_prompt_job(folder: Path, is_warm: bool) -> int:
    try:
        order = json.loads((folder / "job.json").read_bytes())
        scheduled_at = os.environ.get("HERMES_SUPERVISOR_SCHEDULED_AT", "")
        run = Run(dict(order["job"]), order.get("execution_id"), scheduled_at, is_warm)
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f'Cannot read "{folder / "job.json"}": {error}', file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, stop)
    answer = run.answer()
    # What ended by itself is not stopped any more; a handler, unlike SIG_IGN, is not inherited by what is started yet.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    write_whole(folder / "answer.json", within_bounds(answer))
    run.tear_down()
    return 0


def within_bounds(answer: Answer) -> Record:
    """The answer, with its texts cut in the middle where it would be too long to be read."""
    if len(json.dumps(answer, default=str)) <= ANSWER_CHARACTERS:
        return dict(answer)
    return {name: cut(value) if isinstance(value, str) else value for name, value in answer.items()}


def cut(text: str) -> str:
    left_out = len(text) - TEXT_CHARACTERS
    half = TEXT_CHARACTERS // 2
    return text if left_out <= 0 else f"{text[:half]}\n\n[… {left_out} characters left out …]\n\n{text[-half:]}"


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Lets Hermes end its tools, which have sessions of their own, on its way out. A second request ends the process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Stopped


def write_whole(path: Path, value: object) -> None:
    """Writes JSON so that a reader finds all of it or nothing, also after a crash of the machine."""
    aside = path.with_name(f"{path.name}.tmp")
    # Escaped, so that halves of surrogate pairs pass as well: a model may send anything.
    text = json.dumps(value, ensure_ascii=True, default=str)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- Questions --------------------------------------------------------------------------------------------------------


def probe() -> Record:
    """What this Hermes is and can do."""
    name, version = distribution()
    jobs, scheduler = find("cron.jobs"), find("cron.scheduler")
    if jobs is None or scheduler is None:
        raise RuntimeError(f"Cannot load Hermes from {sys.executable}: it has no cron package")
    executions = find("cron.executions")
    schema = inspect.getsource(executions) if executions is not None else ""
    return {
        "version": version,
        "release": name,
        "python": sys.executable,
        "python_version": ".".join(str(part) for part in sys.version_info[:3]),
        "features": {
            "fire_lock": hasattr(jobs, "fire_claim_fence"),
            "fire_owner": takes(jobs.mark_job_run, "expected_fire_owner"),
            "pending_slot": find("cron.occurrences", "pending_slot_stamp") is not None,
            "executions": executions is not None,
            "execution_delivery_outcome": "delivery_outcome TEXT" in schema,
            "execution_scheduled_instant": "scheduled_instant TEXT" in schema,
            "execution_progress_at": "progress_at TEXT" in schema,
            "deliveries_db": find("cron.delivery_queue") is not None,
            "incidents": find("cron.incidents") is not None,
            "failure_streak": hasattr(scheduler, "_failure_streak_nudge"),
            "failure_marker": hasattr(scheduler, "_cron_failure_marker_error"),
            "failure_deliver": takes(scheduler._deliver_result, "for_failure"),
            "unreachable_retry": find("cron.unreachable_retry") is not None,
            "quota_hold": find("cron.quota_hold") is not None,
            "blocked_config": getattr(scheduler, "BLOCKED_CONFIG_MARKER", None) is not None,
            "drift_guard": getattr(scheduler, "DRIFT_SKIP_MARKER", None) is not None,
            "monitors": find("cron.monitor") is not None,
            "heartbeat_writer": hasattr(jobs, "ticker_heartbeat_writer_alive"),
            "keeps_completed": hasattr(jobs, "_sweep_completed_oneshots"),
        },
        "blocked_names": sorted(
            find("tools.environments.local", "_HERMES_PROVIDER_ENV_BLOCKLIST") or (),
        ),
        "script_start": script_start(),
        # Where it lies, so that a change of it is noticed.
        "files": sorted({*(str(module.__file__) for module in (jobs, scheduler) if module.__file__), *records()}),
    }


def script_start() -> Record | None:
    """What Hermes starts a Python script with, where that is not its own interpreter alone: if it is installed from source."""
    start = find("cron.scheduler_script", "_posix_cron_script_argv")
    if start is None:
        return None
    words, variables = start(Path("/"))
    return {"words": words[:-1], "variables": variables} if len(words) > 2 else None


def records() -> list[str]:
    """Where an installation from source keeps which packages are in force."""
    root, path = os.environ.get("HERMES_PYTHON_SRC_ROOT"), find("pm.environments", "runtime_facts_path")
    return [] if root is None or path is None else [str(path(Path(root)))]


def redact(text: str) -> Record:
    """The text as Hermes would store it. A failure must not let a secret through, so Hermes' own word stands for it."""
    try:
        return {"text": str(find("agent.redact", "redact_sensitive_text")(text))}
    except Exception:
        return {"text": "[REDACTED - redaction failed]"}


def deliver(job: Record, content: str, for_failure: bool, incident: str | None) -> Record:
    """Sends by Hermes' stand-alone path. The error is Hermes' own text, or what it raised."""
    load = find("hermes_cli.env_loader", "load_hermes_dotenv")
    if load is not None:
        load(hermes_home=hermes_home())
    scheduler = importlib.import_module("cron.scheduler")
    more = {"for_failure": True} if for_failure and takes(scheduler._deliver_result, "for_failure") else {}
    secrets = getattr(scheduler, "_fire_secret_scope", None) or profile_secrets
    with secrets():
        try:
            error = scheduler._deliver_result(job, content, **more)
        except Exception as raised:
            error = str(raised) or type(raised).__name__
        if incident is not None and error is None:
            settle_incident(incident)
    return {"error": None if error is None else str(error)}


def settle_incident(incident: str) -> Record:
    """Tells Hermes that the user heard of this failure, so that the same one is not told again within hours."""
    mark = find("cron.scheduler", "_mark_incident_alerted")
    if mark is not None:
        mark(incident)
    return {}


def make_executions() -> Record:
    """Has Hermes make its own ledger of runs, in its own way, as its first run would."""
    read = find("cron.executions", "list_executions")
    if read is None:
        raise RuntimeError(f"Cannot make a ledger of runs: Hermes in {sys.executable} keeps none")
    read(limit=1)
    return {}


def answer_question(question: Record) -> Record:
    match question.get("ask"):
        case "probe":
            return probe()
        case "redact":
            return redact(str(question["text"]))
        case "deliver":
            return deliver(
                dict(question["job"]),
                str(question["content"]),
                bool(question.get("for_failure")),
                question.get("incident"),
            )
        case "settle_incident":
            return settle_incident(str(question["incident"]))
        case "make_executions":
            return make_executions()
        case "failure":
            run = Run(dict(question["job"]), None, "")
            return {"deliver": run.failure_notice(str(question["error"])), "incident": run.incident}
        case other:
            expected = "probe, redact, deliver, failure, settle_incident or make_executions"
            raise ValueError(f'Cannot answer "{other}": expected {expected}')


# --- The program ------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    # Python puts the folder of this file first, where its neighbours could be taken for modules of Hermes.
    own = os.path.abspath(__file__)
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(own)]
    enter_checkout()
    if len(arguments) == 3 and arguments[0] == "ask":
        question = json.loads(Path(arguments[1]).read_bytes())
        write_whole(Path(arguments[2]), answer_question(question))
        return 0
    folder = os.environ.get("HERMES_SUPERVISOR_RUN_DIR")
    if arguments or not folder:
        print("Cannot run: expected HERMES_SUPERVISOR_RUN_DIR, or: ask <question> <answer>", file=sys.stderr)
        return 2
    name_levels()
    run = Path(folder)
    waits_for = os.environ.pop("HERMES_SUPERVISOR_WAITS_FOR", None)
    if waits_for is not None:
        wait_at_gate(run, waits_for)
    return run_prompt_job(run, waits_for is not None)


def leave(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


def work(arguments: Sequence[str]) -> NoReturn:
    exit_status = 1
    try:
        exit_status = main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        # Whatever was raised: a normal end would wait for threads that may never end.
        leave(exit_status)


if __name__ == "__main__":
    work(sys.argv[1:])
