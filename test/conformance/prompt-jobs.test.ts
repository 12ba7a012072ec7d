import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  addProfile,
  createHome,
  createJob,
  documents,
  editRecord,
  type Home,
  hermes,
  removeHome,
  stopAll,
  storedJob,
  until,
} from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { type StubModel, startStubModel, stubConfig } from "./stub-model.ts";
import { readJson, startDaemon } from "./supervisor.ts";

interface RunJson {
  readonly job_name: string;
  readonly home: string;
  readonly kind: string;
  readonly trigger: string;
  readonly attempt: number;
  readonly scheduled_at: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly exit_code: number | null;
  readonly error: string | null;
  readonly ended_at: string | null;
}

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const homes: Home[] = [];
let model: StubModel;

beforeAll(async () => {
  model = await startStubModel();
});

afterAll(async () => {
  stopAll();
  for (const home of homes) removeHome(home);
  await model.close();
});

const retries = "supervisor: {jobs: {recovers: {retry: {max: 1, backoff: 1 s}}}}\n";

function makeHome(python: string, key: string): Home {
  const home = createHome(python, scripts, `STUB_API_KEY=${key}\n`);
  homes.push(home);
  writeFileSync(`${home.path}/config.yaml`, stubConfig(model.url, `cron: {max_parallel_jobs: 2}\n${retries}`));
  return home;
}

/** Makes a prompt job that is due in `seconds`. */
async function promptJob(home: Home, name: string, modelName: string, seconds: number): Promise<void> {
  await createJob(home, "every 60m", `Say something as ${name}.`, "--name", name);
  await editRecord(home, name, { model: modelName, next_run_at: zoned(Date.now() + seconds * 1000) });
}

/** In the zone of the stub's config. */
function zoned(atMs: number): string {
  return `${new Date(Math.ceil(atMs / 1000) * 1000 + 330 * 60_000).toISOString().slice(0, 19)}+05:30`;
}

async function runsOf(home: Home): Promise<readonly RunJson[]> {
  return (await readJson<{ readonly runs: readonly RunJson[] }>(home, "runs")).runs;
}

async function ended(home: Home, count: number): Promise<readonly RunJson[]> {
  let runs: readonly RunJson[] = [];
  await until(
    `${count} runs to end`,
    async () => {
      // Each look is a program of its own, and the runs want the processor.
      await new Promise((resolve) => setTimeout(resolve, 300));
      runs = (await runsOf(home)).filter((run) => run.ended_at !== null);
      return runs.length >= count;
    },
    180_000,
  );
  return runs;
}

for (const release of Object.values(releases)) {
  test(`prompt jobs run from end to end, each in a process of its own (${release.name})`, async () => {
    const home = makeHome(await hermesPython(release), `key-of-${release.name}`);
    await promptJob(home, "asks", "stub-tool", 8);
    await promptJob(home, "fails", "stub-400", 8);
    await promptJob(home, "silent", "stub-silent", 8);
    // Fails until somebody has seen it fail.
    const flaky = `stub-4${10 + Object.values(releases).indexOf(release)}`;
    await promptJob(home, "recovers", flaky, 8);
    const before = model.requests.length;
    const daemon = await startDaemon(home);
    await until("the first attempt to fail", () => storedJob(home, "recovers").last_status === "error", 120_000);
    model.says(flaky, "well at last");
    const all = await ended(home, 5);
    const runs = new Map(all.filter((run) => run.job_name !== "recovers").map((run) => [run.job_name, run]));
    await daemon.drain();

    const requests = model.requests.slice(before);
    expect(new Set(requests.map((request) => request.authorization))).toEqual(
      new Set([`Bearer key-of-${release.name}`]),
    );
    expect(requests.filter((request) => request.model === "stub-tool")).toHaveLength(2);
    expect(runs.get("asks")).toMatchObject({
      kind: "prompt",
      state: "completed",
      reason: null,
      exit_code: 0,
      error: null,
    });
    expect(runs.get("silent")).toMatchObject({ state: "completed", error: null });
    expect(runs.get("fails")).toMatchObject({ state: "failed", reason: "error", exit_code: 0 });
    expect(runs.get("fails")?.error).toContain("400");

    expect(storedJob(home, "asks")).toMatchObject({ last_status: "ok", last_error: null, fire_claim: null });
    expect(storedJob(home, "fails")).toMatchObject({ last_status: "error", fire_claim: null });
    expect([...documents(home, "asks").values()].join("")).toMatch(/## Response\n\nthe tool said .*hi/s);
    expect([...documents(home, "fails").values()].join("")).toContain("# Cron Job: fails (FAILED)");
    const list = await hermes(home, "cron", "list");
    expect(list.stdout).toMatch(/Name: {6}asks\n[\s\S]*?Last run: .* {2}ok/u);
    expect(list.stdout).toMatch(/Name: {6}fails\n[\s\S]*?Last run: .* {2}error: /u);
    const told = await hermes(home, "cron", "runs", storedJob(home, "asks").id);
    expect(told.stdout).toMatch(/completed/u);

    // Another attempt is a run of its own, in a process of its own, and its slot counts once.
    const attempts = all.filter((run) => run.job_name === "recovers").toSorted((a, b) => a.attempt - b.attempt);
    expect(attempts).toMatchObject([
      { attempt: 1, trigger: "schedule", state: "failed", reason: "error" },
      { attempt: 2, trigger: "retry", state: "completed", scheduled_at: attempts[0]?.scheduled_at },
    ]);
    const recovered = storedJob(home, "recovers");
    expect(recovered).toMatchObject({
      last_status: "ok",
      last_error: null,
      fire_claim: null,
      repeat: { completed: 1 },
    });
    expect(recovered["failure_streak"] ?? 0).toBe(0);
    expect([...documents(home, "recovers").values()].at(-1)).toContain("well at last");
    const rows = (await hermes(home, "cron", "runs", recovered.id)).stdout;
    expect(rows.match(/ (?:completed|failed) /gu)).toEqual([" completed ", " failed "]);
  });
}

test("each of two profiles sends its own key and model, with many runs between each other", async () => {
  const python = await hermesPython(releases["0.22"]);
  const home = makeHome(python, "key-of-root");
  await promptJob(home, "again", "stub", 3600);
  // Hermes reads the file when its interpreter has begun, so no such line can keep it from beginning.
  const other = addProfile(home, "other", "STUB_API_KEY=key-of-other\nPYTHONHOME=/nowhere\nPYTHONPATH=/nowhere\n");
  await editRecord(other, "again", { model: "stub-wait-1" });
  const before = model.requests.length;
  const rounds = 2;
  const daemon = await startDaemon(home);
  for (let round = 1; round <= rounds; round++) {
    for (const one of [home, other]) await editRecord(one, "again", { next_run_at: zoned(Date.now() + 2000) });
    await ended(home, 2 * round);
  }
  await daemon.drain();
  const seen = model.requests.slice(before).map((request) => `${request.model} ${request.authorization}`);
  expect(seen.toSorted()).toEqual([
    ...Array.from({ length: rounds }, () => "stub Bearer key-of-root"),
    ...Array.from({ length: rounds }, () => "stub-wait-1 Bearer key-of-other"),
  ]);
});
