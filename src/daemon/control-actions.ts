import type { RunState } from "../core/run-states.ts";
import type { Work } from "../core/work.ts";
import { hasOutput, placeOfTail } from "../output/read-output.ts";
import { findConditions } from "../status/conditions.ts";
import {
  type Answer,
  type ControlActions,
  type PartsAnswer,
  problem,
  type Reply,
  type TextAnswer,
} from "../status/control-actions.ts";
import { type HealthJson, healthOf } from "../status/health.ts";
import { jobJson, runJson, slotJson } from "../status/json.ts";
import { nextCount, nextCountFault, nextSnapshot } from "../status/next.ts";
import { printLists } from "../status/print-lists.ts";
import { printStatus } from "../status/print-status.ts";
import { shareNext } from "../status/share-next.ts";
import { type ConfigReport, statusSnapshot } from "../status/snapshot.ts";
import type { StatusView } from "../status/view.ts";
import { packageRoot } from "../system/package-root.ts";
import type { Daemon } from "./daemon.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { HomeTable } from "./home-table.ts";
import { createKeptAnswers, keptWhile } from "./kept-answers.ts";
import { streamOutput } from "./log-stream.ts";
import type { RequestState } from "./manual-requests.ts";
import type { Pieces } from "./pieces.ts";
import { jobsOf } from "./status-view.ts";

/** How long a request for a run is watched before the answer is that it waits. */
const manualWaitMs = 2000;
const manualLookMs = 25;

/** What the control socket tells beside the status. */
export interface ControlReports {
  metrics(): Promise<TextAnswer>;
  config(): ConfigReport;
  follow(lastEventId: string | null): Reply;
}

export function createControlActions(
  parts: DaemonParts,
  table: HomeTable,
  daemon: Daemon,
  statusView: () => Work<StatusView>,
  pieces: Pieces,
  reports: ControlReports,
): ControlActions {
  const { system, ledger, stateFolder } = parts;

  const kept = createKeptAnswers(() => ledger.version());
  /** By home and job. */
  const openRunIds = keptWhile(
    () => ledger.version(),
    () => new Map(ledger.openRuns().map((run) => [`${run.home}/${run.jobId}`, run.id])),
  );

  function wanted(query: URLSearchParams): readonly HomeRuntime[] {
    const name = query.get("home");
    return [...table.homes().values()].filter((home) => name === null || home.name === name);
  }

  function runs(query: URLSearchParams): Answer {
    const state = query.get("state");
    if (state !== null && !isRunState(state))
      return problem(400, `state is "${state}", expected claimed, running, completed, failed or void`);
    const filter = commonFilter(query, 50);
    if (typeof filter === "string") return problem(400, filter);
    const found = ledger.runs({ ...filter, ...(state === null ? {} : { state }) });
    return found.length > rowsMax ? tooMany("runs", "home, job, state or since") : ok({ runs: found.map(runJson) });
  }

  function slots(query: URLSearchParams): Answer {
    const filter = commonFilter(query, 200);
    if (typeof filter === "string") return problem(400, filter);
    const found = ledger.slots(filter);
    return found.length > rowsMax ? tooMany("slots", "home, job or since") : ok({ slots: found.map(slotJson) });
  }

  function* jobs(query: URLSearchParams): Work<PartsAnswer> {
    const open = openRunIds();
    const wantedId = query.get("job");
    // Each is printed as soon as it is made.
    function* found(): Iterable<unknown> {
      for (const home of wanted(query))
        for (const job of jobsOf(home))
          if (wantedId === null || job.id === wantedId)
            yield jobJson(home.name, job, open.get(`${home.name}/${job.id}`) ?? null);
    }
    return inParts(yield* printLists({ jobs: found() }));
  }

  function* next(query: URLSearchParams): Work<Answer | PartsAnswer> {
    const home = query.get("home");
    const jobId = query.get("job");
    const count = wholeNumber(query.get("count"), nextCount(jobId !== null), 1000);
    const at = instant(query.get("at"), system.clock.nowMs());
    if (count === null || count === 0) return problem(400, "count is not a number, expected 1 to 1000");
    if (at === null) return problem(400, "at is not a time, expected ISO 8601");
    const homes = wanted(query).map((one) => ({ name: one.name, jobs: jobsOf(one), zone: one.settings.zone }));
    const fault = nextCountFault(homes, { home, jobId }, count);
    if (fault !== null) return problem(400, fault);
    const { occurrences, errors } = yield* nextSnapshot(homes, { home, jobId }, at, count);
    return inParts(yield* printLists({ occurrences, errors }));
  }

  function* status(): Work<PartsAnswer> {
    return inParts(yield* printStatus(yield* statusSnapshot(yield* statusView())));
  }

  function* homes(): Work<PartsAnswer> {
    const snapshot = yield* statusSnapshot(yield* statusView());
    return inParts(yield* printLists({ homes: snapshot.homes }));
  }

  function* health(): Work<HealthJson> {
    return healthOf(yield* findConditions(yield* statusView()));
  }

  const makeStatus = shareNext(() => pieces.run(status()));
  const makeHomes = shareNext(() => pieces.run(homes()));
  const makeHealth = shareNext(() => pieces.run(health()));
  const everything = new URLSearchParams();
  const makeJobs = shareNext(() => pieces.run(jobs(everything)));
  const makeNext = shareNext(() => pieces.run(next(everything)));

  const readers: Readonly<Record<string, (query: URLSearchParams, isGone: () => boolean) => Reply | Promise<Reply>>> = {
    status: makeStatus,
    config: () => ok(reports.config()),
    homes: makeHomes,
    jobs: (query, isGone) => (query.size === 0 ? makeJobs() : pieces.run(jobs(query), isGone)),
    runs: (query) => kept(`runs ${query}`, () => runs(query)),
    slots: (query) => kept(`slots ${query}`, () => slots(query)),
    next: (query, isGone) => (query.size === 0 ? makeNext() : pieces.run(next(query), isGone)),
  };

  async function runJob(homeName: string, jobId: string): Promise<Answer> {
    const home = table.homes().get(homeName);
    if (home === undefined) return problem(404, `There is no home "${homeName}"`);
    if (parts.draining) return problem(503, "The supervisor is ending and starts nothing more");
    if (home.state.kind !== "active")
      return problem(503, `Home "${homeName}" is ${home.state.kind}: ${home.state.reason}`);
    if (!jobsOf(home).some((job) => job.id === jobId))
      return problem(404, `There is no job "${jobId}" in home "${homeName}"`);
    const asked = daemon.requests.ask(home, jobId);
    let { state } = asked;
    const untilMs = system.clock.monotonicMs() + manualWaitMs;
    while (state.kind === "waiting" && asked.id !== null && !parts.draining && system.clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => system.clock.after(manualLookMs, resolve));
      state = daemon.requests.look(asked.id)?.state ?? state;
    }
    switch (state.kind) {
      case "served": {
        const run = ledger.run(state.runId);
        return { status: 201, body: { run: run === null ? null : runJson(run) } };
      }
      case "refused":
        return problem(409, `Cannot run job "${jobId}": ${state.why}`);
      case "waiting":
        return { status: 202, body: { run: null, request: requestJson(asked.id, state) } };
    }
  }

  return {
    async health() {
      const said = await makeHealth();
      return { status: said.ok ? 200 : 503, body: said };
    },
    metrics: reports.metrics,
    description: () => ({
      status: 200,
      type: "application/json",
      text: system.files.readText(`${packageRoot()}/docs/openapi.json`),
    }),
    events: reports.follow,
    read: (name, query, isGone) =>
      (Object.hasOwn(readers, name) ? readers[name]?.(query, isGone) : undefined) ??
      problem(404, `There is nothing at /v1/${name}`),
    log(runId, query) {
      const run = ledger.run(runId);
      if (run === null) return problem(404, `There is no run "${runId}"`);
      const tail = query.get("tail");
      const lines = wholeNumber(tail, 0, 1_000_000);
      if (lines === null) return problem(400, "tail is not a whole number from 0 to 1000000");
      const isOpen = run.state === "claimed" || run.state === "running";
      if (!isOpen && !hasOutput(system.files, stateFolder, runId)) {
        return problem(404, `The output of run "${runId}" is not kept any more`);
      }
      const place =
        tail === null ? { outputBytes: 0, errorsBytes: 0 } : placeOfTail(system.files, stateFolder, runId, lines);
      return streamOutput(parts, runId, place, isYes(query.get("follow")));
    },
    run(runId) {
      const run = ledger.run(runId);
      return run === null ? problem(404, `There is no run "${runId}"`) : ok({ run: runJson(run) });
    },
    runJob,
    request(id) {
      const found = /^\d{1,15}$/u.test(id) ? daemon.requests.look(Number(id)) : null;
      return found === null
        ? problem(404, `There is no request "${id}"`)
        : ok({ request: requestJson(Number(id), found.state) });
    },
    stopRun(runId, now) {
      const run = ledger.run(runId);
      if (run === null) return problem(404, `There is no run "${runId}"`);
      if (run.state !== "claimed" && run.state !== "running") return ok({ run: runJson(run) });
      daemon.stop(run, { reason: "stopped", text: "Stopped because a person asked for it" }, now);
      return { status: 202, body: { run: runJson(run) } };
    },
  };
}

function inParts(parts: readonly Uint8Array[]): PartsAnswer {
  return { status: 200, type: "application/json", parts };
}

function isYes(text: string | null): boolean {
  return text === "1" || text === "true";
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function requestJson(id: number | null, state: RequestState): unknown {
  return {
    id,
    state: state.kind,
    reason: state.kind === "served" ? null : state.why,
    run_id: state.kind === "served" ? state.runId : null,
  };
}

function isRunState(text: string): text is RunState {
  return ["claimed", "running", "completed", "failed", "void"].includes(text);
}

interface CommonFilter {
  readonly home?: string;
  readonly jobId?: string;
  readonly sinceMs?: number;
  readonly limit: number;
}

/** A thousand take some 10 ms, in which the daemon does nothing else. */
const rowsMax = 1000;

function tooMany(what: string, narrower: string): Answer {
  const expected = `expected a limit from 1 to ${rowsMax}, or less by ${narrower}`;
  return problem(400, `These are more than ${rowsMax} ${what}, and an answer holds no more: ${expected}`);
}

/** The filter that a query asks for, or a sentence about what is wrong with it. It lets through one row more than an answer holds. */
function commonFilter(query: URLSearchParams, limitUsual: number): CommonFilter | string {
  const limit = wholeNumber(query.get("limit"), limitUsual, 1_000_000);
  if (limit === null) return "limit is not a whole number from 0";
  const home = query.get("home");
  const jobId = query.get("job");
  const since = query.get("since");
  const sinceMs = since === null ? null : instant(since, 0);
  if (since !== null && sinceMs === null) return "since is not a time, expected ISO 8601";
  return {
    limit: limit === 0 ? rowsMax + 1 : Math.min(limit, rowsMax + 1),
    ...(home === null ? {} : { home }),
    ...(jobId === null ? {} : { jobId }),
    ...(sinceMs === null ? {} : { sinceMs }),
  };
}

function wholeNumber(text: string | null, usual: number, max: number): number | null {
  if (text === null) return usual;
  return /^\d{1,7}$/u.test(text) && Number(text) <= max ? Number(text) : null;
}

function instant(text: string | null, usual: number): number | null {
  if (text === null) return usual;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
