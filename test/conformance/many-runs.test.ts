import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Answer } from "../../worker/protocol.ts";
import { createHome, environmentOf, finish, type Home, removeHome, start, stopAll } from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { type StubModel, startStubModel, stubConfig } from "./stub-model.ts";
import { promptJob } from "./worker.ts";

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const manyRuns = fileURLToPath(new URL("many_runs.py", import.meta.url));
const program = fileURLToPath(new URL("../../worker/hermes_worker.py", import.meta.url));

/** Of each of the two homes. `HERMES_SUPERVISOR_MANY_RUNS=100` tries as many as a person would before a release. */
const asked = Number(process.env["HERMES_SUPERVISOR_MANY_RUNS"]);
const runsOf = { "0.19": asked || 5, "0.20": asked || 5, "0.22": asked || 30 } as const;
const profiles = ["one", "two"] as const;

let stub: StubModel;
const homes: Home[] = [];

beforeAll(async () => {
  stub = await startStubModel();
  for (const name of profiles)
    for (const half of [0, 1]) stub.says(`stub-${name}-${half}`, `answer of ${name} ${half}`);
});

afterEach(() => {
  stopAll();
  for (const home of homes.splice(0)) removeHome(home);
});

afterAll(async () => {
  await stub.close();
});

/** A home with runs that each have a job, a model and a prompt of their own. */
function prepare(python: string, name: string, count: number): Home {
  const home = createHome(python, scripts, `STUB_API_KEY=key-of-${name}\n`);
  homes.push(home);
  writeFileSync(`${home.path}/config.yaml`, stubConfig(stub.url), { mode: 0o600 });
  for (let run = 0; run < count; run++) {
    const folder = `${home.folder}/runs/${String(run).padStart(3, "0")}`;
    mkdirSync(folder, { recursive: true });
    const id = (0xa00000000000 + run).toString(16);
    const job = promptJob(`stub-${name}-${run % 2}`, { id, name: `job ${run}`, prompt: `Say mark-${name}-${run}.` });
    writeFileSync(`${folder}/job.json`, JSON.stringify({ job, execution_id: null }));
  }
  return home;
}

function sessions(home: Home): readonly string[] {
  const database = new DatabaseSync(`${home.path}/state.db`, { readOnly: true });
  try {
    return database
      .prepare("SELECT model FROM sessions")
      .all()
      .map(({ model }) => String(model));
  } finally {
    database.close();
  }
}

for (const release of Object.values(releases)) {
  const count = runsOf[release.name];
  test(`${release.name}: ${2 * count} runs of two profiles at the same time keep to their own keys, models and prompts`, async () => {
    const python = await hermesPython(release);
    const made = profiles.map((name) => prepare(python, name, count));
    const first = stub.requests.length;
    const ends = made.map((home) =>
      finish(start(python, [manyRuns, program], { ...environmentOf(home), RUNS: `${home.folder}/runs` })),
    );
    expect((await Promise.all(ends)).map(({ code }) => code)).toEqual([0, 0]);
    const wanted = profiles.flatMap((name) =>
      Array.from({ length: count }, (_, run) => `Bearer key-of-${name} stub-${name}-${run % 2} mark-${name}-${run}`),
    );
    const seen = stub.requests.slice(first).map(({ authorization, model, body }) => {
      const marks = new Set([...body.matchAll(/mark-\w+-\d+/gu)].map(([mark]) => mark));
      return `${authorization} ${model} ${[...marks].join(" ")}`;
    });
    expect(seen.toSorted()).toEqual(wanted.toSorted());
    for (const [index, name] of profiles.entries()) {
      const home = made[index];
      if (home === undefined) continue;
      const other = made[1 - index]?.folder ?? "";
      const bodies = stub.requests.slice(first).filter(({ authorization }) => authorization.endsWith(name));
      expect(bodies.filter(({ body }) => body.includes(other))).toEqual([]);
      const answers = Array.from({ length: count }, (_, run) => {
        const path = `${home.folder}/runs/${String(run).padStart(3, "0")}/answer.json`;
        return (JSON.parse(readFileSync(path, "utf8")) as Answer).final_text;
      });
      expect(answers).toEqual(Array.from({ length: count }, (_, run) => `answer of ${name} ${run % 2}`));
      expect(sessions(home).toSorted()).toEqual(
        Array.from({ length: count }, (_, run) => `stub-${name}-${run % 2}`).toSorted(),
      );
    }
  });
}
