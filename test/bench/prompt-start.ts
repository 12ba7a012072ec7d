import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStubModel, stubConfig } from "../conformance/stub-model.ts";
import { askControl } from "./ask-control.ts";
import { makeHome, writeJobs } from "./hermes-home.ts";
import { plainVariables, sleep, startProgram, unixMs } from "./programs.ts";

export interface PromptStart {
  readonly way: string;
  /** Seconds to the first byte of the model's request, one for each run. */
  readonly seconds: readonly number[];
}

interface RunJson {
  readonly job_id: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
}

const aheadMs = 6000;
const waitMsMax = 60_000;

/**
 * How long a prompt job takes from its opened gate to the model, with a worker that waited for it and without, alone and with
 * seven others; and Hermes' own `cron tick`, from the start of its process.
 */
export async function measurePromptStart(
  folder: string,
  programPath: string,
  python: string,
  roundCount: number,
): Promise<readonly PromptStart[]> {
  const model = await startStubModel();
  const home = join(folder, "hermes");
  const config = stubConfig(model.url, "cron: {max_parallel_jobs: 16}\n");
  makeHome(home, config, []);
  writeFileSync(join(home, ".env"), "STUB_API_KEY=key\n", { mode: 0o600 });
  const state = ["--home", home, "--state", join(folder, "state")];
  mkdirSync(join(folder, "user"));
  const variables = {
    ...plainVariables(),
    HOME: join(folder, "user"),
    HERMES_SUPERVISOR_PYTHON: python,
    HERMES_DISABLE_LAZY_INSTALLS: "1",
  };
  const socketPath = join(folder, "state/control.sock");
  const runs = async (): Promise<readonly RunJson[]> =>
    (JSON.parse(await askControl({ socketPath, path: "/v1/runs" })) as { readonly runs: RunJson[] }).runs;
  const daemon = startProgram(process.execPath, [programPath, ...state, "start"], variables, join(folder, "log"));
  let last = 0;

  /** Makes prompt jobs that are due at once and answers how long each of their requests took. */
  async function due(count: number, inMs: number | null): Promise<readonly number[]> {
    const before = model.requests.length;
    const atMs = Math.ceil((Date.now() + (inMs ?? 3_600_000)) / 1000) * 1000;
    const ids = Array.from({ length: count }, () => (++last).toString(16).padStart(12, "0"));
    writeJobs(
      home,
      ids.map((id) => ({
        id,
        prompt: "Say something.",
        schedule: { kind: "interval", minutes: 60, display: "every 60m" },
        nextRunAtMs: atMs,
      })),
    );
    if (inMs === null) {
      for (const id of ids) await askControl({ socketPath, method: "POST", path: `/v1/jobs/default/${id}/run` });
    }
    const untilMs = unixMs() + (inMs ?? 0) + waitMsMax;
    const done = async (): Promise<readonly RunJson[]> =>
      (await runs()).filter((run) => ids.includes(run.job_id) && run.ended_at !== null);
    await sleep(inMs ?? 0);
    while ((await done()).length < count) {
      daemon.check();
      if (unixMs() > untilMs) throw new Error(`Cannot measure prompts: the runs did not end, see "${folder}"`);
      await sleep(500);
    }
    const starts = (await done()).map((run) => Date.parse(run.started_at ?? "")).toSorted((a, b) => a - b);
    return model.requests
      .slice(before)
      .map((request) => performance.timeOrigin + request.atMs)
      .toSorted((a, b) => a - b)
      .map((atMs, place) => (atMs - (starts[place] ?? Number.NaN)) / 1000);
  }

  async function tick(): Promise<number> {
    const before = model.requests.length;
    const own = join(folder, `tick-${++last}`);
    makeHome(own, config, []);
    writeFileSync(join(own, ".env"), "STUB_API_KEY=key\n", { mode: 0o600 });
    writeJobs(own, [
      {
        id: "000000000001",
        prompt: "Say something.",
        schedule: { kind: "interval", minutes: 60, display: "every 60m" },
        nextRunAtMs: Date.now() - 1000,
      },
    ]);
    const program = startProgram(
      python,
      ["-m", "hermes_cli.main", "cron", "tick"],
      { ...variables, HERMES_HOME: own },
      join(own, "log"),
    );
    const untilMs = unixMs() + waitMsMax;
    while (model.requests.length === before && unixMs() < untilMs) await sleep(20);
    const atMs = performance.timeOrigin + (model.requests[before]?.atMs ?? Number.NaN);
    await program.stop();
    return (atMs - program.startedAtMs) / 1000;
  }

  try {
    while (!existsSync(socketPath)) await sleep(50);
    // The daemon finds Hermes and Hermes writes its caches.
    await due(1, aheadMs);
    const spare: number[] = [];
    const cold: number[] = [];
    const eight: number[] = [];
    const own: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      spare.push(...(await due(1, aheadMs)));
      cold.push(...(await due(1, null)));
      eight.push(Math.max(...(await due(8, 4 * aheadMs))));
      own.push(await tick());
    }
    return [
      { way: "a worker that waited", seconds: spare },
      { way: "a worker started at the due time", seconds: cold },
      { way: "the last of eight due at once", seconds: eight },
      { way: "hermes cron tick, from its start", seconds: own },
    ];
  } finally {
    await daemon.stop();
    await model.close();
  }
}
