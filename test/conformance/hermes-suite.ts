import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { executions, executionsLayout, maskExecution } from "./executions.ts";
import {
  addProfile,
  copyHome,
  createHome,
  createJob,
  documents,
  editRecord,
  finish,
  type Home,
  hermes,
  hermesLibrary,
  lines,
  modeOf,
  recordTexts,
  removeHome,
  type StoredJob,
  spawnHermes,
  stopAll,
  storedJob,
  storedJobs,
  storeText,
  until,
} from "./home.ts";
import {
  documentDifferences,
  entryDifferences,
  executionDifferences,
  recordDifferences,
} from "./listed-differences.ts";
import { hermesPython, type Release } from "./releases.ts";
import { readJson, startDaemon, supervisor, supervisorByEnvironment } from "./supervisor.ts";

const churn = fileURLToPath(new URL("churn.py", import.meta.url));
const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const zoneMinutes = 330;

interface Sample {
  readonly name: string;
  readonly schedule: string;
  readonly options: readonly string[];
  /** What makes it due in the test's store; null leaves it for later. */
  readonly due: "interval" | "cron" | "once" | null;
}

const script = (file: string, ...more: readonly string[]): readonly string[] => [
  "--no-agent",
  "--script",
  file,
  ...more,
];

/** One job of every kind. The cron ones fell due three hours ago, so no clock moves across a slot while the tests run. */
function samples(): readonly Sample[] {
  const threeHoursAgo = new Date(Date.now() + (zoneMinutes - 180) * 60_000);
  const daily = `${threeHoursAgo.getUTCMinutes()} ${threeHoursAgo.getUTCHours()} * * *`;
  return [
    { name: "report", schedule: "every 30m", options: script("report.sh"), due: "interval" },
    { name: "broken", schedule: daily, options: script("broken.sh", "--repeat", "3"), due: "cron" },
    { name: "quiet", schedule: "every 2h", options: script("quiet.sh"), due: "interval" },
    { name: "Grüße ☕ 日本", schedule: "every 45m", options: script("markdown.sh"), due: "interval" },
    { name: "asleep", schedule: daily, options: script("asleep.sh"), due: "cron" },
    { name: "killed", schedule: "every 35m", options: script("killed.sh"), due: "interval" },
    { name: "latin", schedule: "every 40m", options: script("latin.sh"), due: "interval" },
    { name: "where", schedule: "every 50m", options: script("where.sh"), due: "interval" },
    { name: "snake", schedule: "every 1d", options: script("snake.py"), due: "interval" },
    { name: "gone", schedule: "every 55m", options: script("gone.sh"), due: "interval" },
    { name: "lines", schedule: "every 65m", options: script("lines.sh"), due: "interval" },
    { name: "key", schedule: "every 70m", options: script("key.sh"), due: "interval" },
    { name: "long", schedule: "every 75m", options: script("long.sh"), due: "interval" },
    { name: "plain", schedule: "every 80m", options: script("plain"), due: "interval" },
    { name: "last", schedule: "every 1h", options: script("report.sh", "--repeat", "1"), due: "interval" },
    { name: "once", schedule: "2099-01-01T10:00:00", options: script("report.sh"), due: "once" },
    { name: "later", schedule: "every 3h", options: script("report.sh"), due: null },
    { name: "slow", schedule: "every 4h", options: script("slow.sh"), due: null },
    { name: "slow too", schedule: "every 5h", options: script("slow.sh"), due: null },
    { name: "slow once", schedule: "2099-01-01T10:00:00", options: script("slow.sh"), due: null },
    { name: "paused", schedule: daily, options: script("report.sh"), due: null },
    { name: "Ask for ☕", schedule: "every 2h", options: ["Summarise the news"], due: null },
  ];
}

/** A time as Hermes writes it, in the zone of the test homes. */
function stored(ms: number): string {
  return `${new Date(ms + zoneMinutes * 60_000).toISOString().slice(0, 19)}+05:30`;
}

async function makeDue(home: Home, name: string, due: "interval" | "cron" | "once", days = 1): Promise<void> {
  if (due === "cron") {
    const next = Date.parse(storedJob(home, name).next_run_at ?? "");
    await editRecord(home, name, { next_run_at: stored(next - days * 86_400_000) });
    return;
  }
  const at = stored(Date.now() - 10_000);
  await editRecord(home, name, due === "once" ? { run_at: at, display: "once", next_run_at: at } : { next_run_at: at });
}

/** Real Hermes and the supervisor on stores of one release. Called once in a test file of its own for each release. */
export function testRelease(release: Release): void {
  const jobs = samples();
  const homes: Home[] = [];
  const copy = (home: Home): Home => {
    const made = copyHome(home);
    homes.push(made);
    return made;
  };
  /** Made by the real command line, nothing due. */
  let base: Home;
  /** The same store with the same jobs due: one was ticked by us, its twin by Hermes. */
  let before: ReadonlyMap<string, string>;
  let due: Home;
  let ours: Home;
  let twin: Home;
  let dueAtMs: number;

  beforeAll(async () => {
    base = createHome(
      await hermesPython(release),
      scripts,
      "MINE=seen\nMY_TOKEN=correct-horse-battery\nOPENAI_API_KEY=sk-not-for-scripts\n",
    );
    homes.push(base);
    for (const { name, schedule, options } of jobs) await createJob(base, schedule, ...options, "--name", name);
    await hermes(base, "cron", "pause", "paused");
    rmSync(`${base.path}/scripts/gone.sh`);

    due = copy(base);
    dueAtMs = Date.now();
    for (const sample of jobs) if (sample.due !== null) await makeDue(due, sample.name, sample.due);
    before = recordTexts(due);
    ours = copy(due);
    twin = copy(due);
    const [our, their] = await Promise.all([supervisor(ours, "start", "--once"), hermes(twin, "cron", "tick")]);
    expect([our.code, their.code], our.stderr + their.stderr).toEqual([0, 0]);
  });

  afterEach(stopAll);
  afterAll(() => {
    for (const home of homes) removeHome(home);
  });

  const isDue = new Set(jobs.flatMap(({ name, due }) => (due === null ? [] : [name])));

  test(`start --once runs the same scripts as a tick of ${release.name}`, () => {
    expect([...lines(ours, "runs.log")].sort()).toEqual([...lines(twin, "runs.log")].sort());
    expect(lines(ours, "runs.log")).toHaveLength(isDue.size - 1);
  });

  test(`start --once leaves the records that a tick of ${release.name} leaves, but for the listed differences`, () => {
    const found = [...before.keys()].flatMap((name) => {
      const hermesFields = maskedFields(twin, name, dueAtMs);
      const ourFields = maskedFields(ours, name, dueAtMs);
      if (hermesFields.size === 0) return [{ job: name, field: "(record)", hermes: "absent", ours: "kept" }];
      return [...new Set([...hermesFields.keys(), ...ourFields.keys()])].sort().flatMap((field) => {
        const sides = { hermes: hermesFields.get(field) ?? "absent", ours: ourFields.get(field) ?? "absent" };
        return sides.hermes === sides.ours ? [] : [{ job: name, field, ...sides }];
      });
    });
    const listed = recordDifferences
      .filter(({ releases }) => releases.includes(release.name))
      .map(({ job, field, hermes, ours }) => ({ job, field, hermes, ours }));
    expect(found).toEqual(listed);
  });

  test("a cron job's next run is the one that Hermes computed, an interval keeps its cadence", () => {
    for (const { name, due, schedule } of jobs) {
      if (name === "last" || due === "once" || due === null) continue;
      const next = storedJob(ours, name).next_run_at ?? "";
      if (due === "cron") expect(next).toBe(storedJob(twin, name).next_run_at);
      else {
        const scheduled = Date.parse((JSON.parse(before.get(name) ?? "") as StoredJob).next_run_at ?? "");
        const minutes =
          Number(/\d+/u.exec(schedule)?.[0]) * (schedule.endsWith("h") ? 60 : schedule.endsWith("d") ? 1440 : 1);
        expect(next, name).toBe(stored(scheduled + minutes * 60_000));
      }
    }
  });

  test("start --once leaves the records that were not due, byte for byte", () => {
    const after = recordTexts(ours);
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [name, text] of before) if (!isDue.has(name)) expect(after.get(name)).toBe(text);
    expect(storeText(ours)).toMatch(/^\{\n {2}"jobs": \[\n[\s\S]*\n {2}\],\n {2}"updated_at": "[^"]+"\n\}$/u);
  });

  test(`start --once keeps the way in which ${release.name} writes text, and the modes of its files`, () => {
    expect(storeText(ours).includes("\\u2615")).toBe(release.escapesText);
    expect(storeText(ours).includes("☕")).toBe(!release.escapesText);
    for (const path of ["cron", "cron/output"])
      expect(modeOf(`${ours.path}/${path}`), path).toBe(modeOf(`${base.path}/${path}`));
    expect(modeOf(`${ours.path}/cron/jobs.json`)).toBe(0o600);
    for (const name of isDue) {
      const folder = `${ours.path}/cron/output/${storedJob(ours, name).id}`;
      expect(modeOf(folder), name).toBe(0o700);
      for (const file of readdirSync(folder)) expect(modeOf(`${folder}/${file}`), `${name} ${file}`).toBe(0o600);
    }
    const strange = readdirSync(`${ours.path}/cron`).filter(
      (name) => !/^(?:\.fire-[0-9a-f]{32}\.lock|\.(?:jobs|tick)\.lock)$/u.test(name),
    );
    expect(strange.filter((name) => !existsSync(`${twin.path}/cron/${name}`))).toEqual([]);
  });

  for (const { name, due } of jobs) {
    if (due === null) continue;
    test(`the document of "${name}" is the one that ${release.name} writes`, () => {
      const [[file, text] = []] = documents(ours, name);
      expect(documents(ours, name).size).toBe(1);
      expect(file).toMatch(/^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.md$/u);
      const listed = documentDifferences.filter((one) => one.job === name && one.releases.includes(release.name));
      const [theirs] = documentsOfId(twin, storedJob(ours, name).id);
      let expected = maskDocument(twin, theirs ?? "");
      for (const { hermes, ours } of listed) {
        expect(expected).toContain(hermes);
        expected = expected.replace(hermes, ours);
      }
      expect(maskDocument(ours, text ?? "")).toBe(expected);
    });
  }

  test(`each run of ours has the row in Hermes' ledger that ${release.name} gives its own`, () => {
    expect(executionsLayout(ours)).toEqual(executionsLayout(twin));
    for (const { name, due } of jobs) {
      const { id } = storedJob(ours, name);
      const rows = [ours, twin].map((home) =>
        executions(home)
          .filter((row) => row.job_id === id)
          .map((row) => maskExecution(home, row)),
      );
      const expected = (rows[1] ?? []).map((row) => {
        const listed = executionDifferences.filter((one) => one.job === name && one.releases.includes(release.name));
        return Object.assign({}, row, ...listed.map(({ fields }) => fields));
      });
      expect(rows[0], name).toHaveLength(due === null ? 0 : 1);
      expect(rows[0], name).toEqual(expected);
    }
  });

  test(`cron list --all of ${release.name} shows our runs as its own`, async () => {
    const [ourList, theirList] = await Promise.all([
      hermes(ours, "cron", "list", "--all"),
      hermes(twin, "cron", "list", "--all"),
    ]);
    expect(ourList.stderr).toBe(theirList.stderr);
    const ourEntries = listEntries(ours, ourList.stdout, dueAtMs);
    const theirEntries = listEntries(twin, theirList.stdout, dueAtMs);
    for (const name of before.keys()) {
      const entry = ourEntries.get(name) ?? "";
      const listed = entryDifferences.filter((one) => one.job === name && one.releases.includes(release.name));
      if (listed.length === 0) expect(entry).toBe(theirEntries.get(name));
      for (const { hermes, ours } of listed) {
        if (hermes === null) expect(theirEntries.has(name), name).toBe(false);
        else expect(theirEntries.get(name)).toContain(hermes);
        expect(entry).toContain(ours);
      }
    }
    expect([...ourEntries.keys()]).toEqual([...before.keys()]);
  });

  test(`cron status of ${release.name} counts the jobs as after its own tick`, async () => {
    const [our, their] = await Promise.all([hermes(ours, "cron", "status"), hermes(twin, "cron", "status")]);
    expect(maskTimes(our.stdout, dueAtMs)).toBe(maskTimes(their.stdout, dueAtMs));
    expect(our.code).toBe(their.code);
  });

  test(`a later tick of ${release.name} runs what comes due next and leaves what we settled`, async () => {
    const home = copy(ours);
    const settled = recordTexts(home);
    await hermes(home, "cron", "tick");
    expect([...recordTexts(home)]).toEqual([...settled]);
    await makeDue(home, "later", "interval");
    const ran = lines(home, "runs.log").length;
    await hermes(home, "cron", "tick");
    expect(lines(home, "runs.log").slice(ran)).toEqual(["report"]);
    expect(storedJob(home, "later")).toMatchObject({ last_status: "ok", state: "scheduled", enabled: true });
    const after = recordTexts(home);
    for (const [name, text] of settled) if (name !== "later") expect(after.get(name)).toBe(text);
    expect(after.size).toBe(settled.size);
  });

  test(`${release.name} ticks on where we stopped, and we where it stopped`, async () => {
    const home = copy(ours);
    for (const turn of [2, 3]) {
      // An instant that we have served is not served again.
      await makeDue(home, "broken", "cron", turn);
      await makeDue(home, "report", "interval");
      const ended = turn === 2 ? await hermes(home, "cron", "tick") : await supervisor(home, "start", "--once");
      expect(ended.code, ended.stderr).toBe(0);
      expect(lines(home, "runs.log").filter((name) => name === "broken")).toHaveLength(turn);
    }
    expect(lines(home, "runs.log").filter((name) => name === "report")).toHaveLength(5);
    expect(storedJob(home, "broken")).toMatchObject({
      state: "completed",
      enabled: false,
      next_run_at: null,
      repeat: { times: 3, completed: 3 },
    });
  });

  test(`a one-shot that we ran stays in the store as completed, and ${release.name} does not run it again`, async () => {
    const home = copy(ours);
    const text = recordTexts(home).get("once");
    expect(storedJob(home, "once")).toMatchObject({
      state: "completed",
      enabled: false,
      next_run_at: null,
      last_status: "ok",
      repeat: { times: 1, completed: 1 },
    });
    const ran = lines(home, "runs.log").length;
    await hermes(home, "cron", "tick");
    await hermes(home, "cron", "tick");
    expect(recordTexts(home).get("once")).toBe(text);
    expect(lines(home, "runs.log")).toHaveLength(ran);
    expect((await hermes(home, "cron", "list", "--all")).stdout).toMatch(/\[completed\]\n\s+Name:\s+once\n/u);
  });

  test(`a job that we are running is left alone by ${release.name}'s tick and cron run`, async () => {
    const home = copy(base);
    await makeDue(home, "slow", "interval");
    await makeDue(home, "slow once", "once");
    const daemon = await startDaemon(home);
    await until("both scripts to start", () => lines(home, "slow.log").length === 2);
    const held = recordTexts(home);
    const owner = storedJob(home, "slow").fire_claim?.by ?? "";
    expect(() => process.kill(Number(owner.split(":")[1]), 0)).not.toThrow();

    expect((await hermes(home, "cron", "tick")).code).toBe(0);
    expect([...recordTexts(home)]).toEqual([...held]);
    const refused = await hermes(home, "cron", "run", "slow");
    expect(refused.stdout).toContain("Job is already being fired by the scheduler; not run again.");
    expect(recordTexts(home).get("slow")).toBe(held.get("slow"));
    expect(lines(home, "slow.log")).toHaveLength(2);

    writeFileSync(`${home.path}/go`, "");
    await until("both runs to be settled", () =>
      ["slow", "slow once"].every(
        (name) => storedJob(home, name).last_status === "ok" && storedJob(home, name).fire_claim === null,
      ),
    );
    expect(storedJob(home, "slow once")).toMatchObject({ state: "completed", repeat: { times: 1, completed: 1 } });
    expect(lines(home, "slow.log")).toHaveLength(2);
    expect((await daemon.drain()).code).toBe(0);
  });

  test(`a job that cron run of ${release.name} is running is left alone by the daemon`, async () => {
    const home = copy(base);
    const running = finish(spawnHermes(home, "cron", "run", "slow"));
    await until("the script to start", () => lines(home, "slow.log").length === 1);
    const owner = storedJob(home, "slow").fire_claim?.by;
    expect(owner).toBeTruthy();
    await makeDue(home, "slow", "interval");
    await makeDue(home, "report", "interval");
    const daemon = await startDaemon(home);
    await until("the free job to run", () => storedJob(home, "report").last_status === "ok");
    expect(lines(home, "slow.log")).toHaveLength(1);
    expect(storedJob(home, "slow").fire_claim?.by).toBe(owner);

    writeFileSync(`${home.path}/go`, "");
    const ended = await running;
    expect(ended.stdout, ended.stderr).toContain("Ran now: succeeded.");
    await makeDue(home, "where", "interval");
    await until("the next free job to run", () => storedJob(home, "where").last_status === "ok");
    await until(
      "no run to be open",
      async () => (await readJson<Runs>(home, "runs", "--state", "running")).runs.length === 0,
    );
    expect((await daemon.drain()).code).toBe(0);
    expect(storedJob(home, "slow")).toMatchObject({ last_status: "ok", fire_claim: null });
    const { slots } = await readJson<Slots>(home, "slots", storedJob(home, "slow").id);
    expect(slots.map(({ decision }) => decision).every((decision) => decision !== "pending")).toBe(true);
    // Its slot came while the manual run was open: either that run served it, or a run of ours after the end.
    expect(lines(home, "slow.log").length).toBe(1 + slots.filter(({ run_id }) => run_id !== null).length);
  });

  test(`a run of ours that outlives its daemon is still left alone by ${release.name}`, async () => {
    const home = copy(base);
    await makeDue(home, "slow", "interval");
    const daemon = await startDaemon(home);
    await until("the script to start", () => lines(home, "slow.log").length === 1);
    expect((await daemon.handOver()).code).toBe(0);
    const held = recordTexts(home).get("slow");
    expect((await hermes(home, "cron", "tick")).code).toBe(0);
    expect((await hermes(home, "cron", "run", "slow")).stdout).toContain("not run again.");
    expect(recordTexts(home).get("slow")).toBe(held);

    const next = await startDaemon(home);
    writeFileSync(`${home.path}/go`, "");
    await until("the run to be settled", () => storedJob(home, "slow").last_status === "ok");
    expect((await next.drain()).code).toBe(0);
    expect(storedJob(home, "slow").fire_claim).toBeNull();
    expect(lines(home, "slow.log")).toHaveLength(1);
  });

  test(`what a person changes with ${release.name} while we run their job stands`, async () => {
    const home = copy(base);
    for (const name of ["slow", "slow too"]) await makeDue(home, name, "interval");
    await makeDue(home, "slow once", "once");
    const daemon = await startDaemon(home);
    await until("the scripts to start", () => lines(home, "slow.log").length === 3);
    await hermes(home, "cron", "pause", "slow");
    await hermes(home, "cron", "remove", "slow once");
    await hermes(home, "cron", "edit", "slow too", "--schedule", "every 6h");
    const edited = storedJob(home, "slow too").next_run_at;
    writeFileSync(`${home.path}/go`, "");
    await until("both to be settled", () =>
      ["slow", "slow too"].every((name) => storedJob(home, name).last_status === "ok"),
    );
    expect((await daemon.drain()).code).toBe(0);
    expect(storedJob(home, "slow")).toMatchObject({ enabled: false, state: "paused", fire_claim: null });
    expect(storedJob(home, "slow too")).toMatchObject({
      schedule_display: "every 360m",
      next_run_at: edited,
      fire_claim: null,
    });
    expect(storedJobs(home).map(({ name }) => name)).not.toContain("slow once");
    expect(lines(home, "slow.log")).toHaveLength(3);
  });

  test(`the daemon waits while a tick of ${release.name} holds the tick lock, and then runs what is due`, async () => {
    const home = copy(base);
    await makeDue(home, "slow", "interval");
    const ticking = finish(spawnHermes(home, "cron", "tick"));
    await until("the script to start", () => lines(home, "slow.log").length === 1);
    await makeDue(home, "where", "interval");
    const daemon = await startDaemon(home);
    await until("the daemon to see who holds the lock", async () => {
      const { homes: seen } = await readJson<Status>(home, "status");
      return seen[0]?.tick_lock.held === true;
    });
    expect(lines(home, "runs.log")).toEqual([]);
    writeFileSync(`${home.path}/go`, "");
    expect((await ticking).code).toBe(0);
    await until("the waiting job to run", () => storedJob(home, "where").last_status === "ok");
    expect((await daemon.drain()).code).toBe(0);
    expect(lines(home, "runs.log")).toEqual(["where"]);
    expect(lines(home, "slow.log")).toHaveLength(1);
    const { slots } = await readJson<Slots>(home, "slots", storedJob(home, "where").id);
    expect(slots.map(({ decision }) => decision)).toEqual(["run"]);
  });

  test(`a tick of ${release.name} and the daemon, started together, run each job once`, async () => {
    const home = copy(due);
    const expected = [...lines(twin, "runs.log")].sort();
    const ticking = finish(spawnHermes(home, "cron", "tick"));
    const daemon = await startDaemon(home);
    expect((await ticking).code).toBe(0);
    await until("every job to have run", () => lines(home, "runs.log").length >= expected.length);
    await until("every record to be settled", () =>
      storedJobs(home).every(({ name, last_status }) => !isDue.has(name) || last_status !== null),
    );
    expect((await daemon.drain()).code).toBe(0);
    expect([...lines(home, "runs.log")].sort()).toEqual(expected);
  });

  test(`each profile's jobs run in its own home and show in ${release.name}'s list of it`, async () => {
    const home = copy(base);
    const night = addProfile(home, "night", "MINE=dark\n");
    await makeDue(home, "where", "interval");
    await makeDue(night, "where", "interval");
    expect((await supervisor(home, "start", "--once")).code).toBe(0);
    for (const [profile, mine] of [
      [home, "seen"],
      [night, "dark"],
    ] as const) {
      expect([...documents(profile, "where").values()].join("")).toContain(`mine=${mine} `);
      expect(lines(profile, "runs.log")).toEqual(["where"]);
      const { stdout } = await hermes(profile, "cron", "list", "--all");
      expect(listEntries(profile, stdout, Date.now()).get("where")).toMatch(/Last run: {2}<now\+0m> {2}ok/u);
    }
  });

  test("start without --home serves the home that HERMES_HOME names", async () => {
    const home = copy(due);
    const ended = await supervisorByEnvironment(home, "start", "--once");
    expect(ended.code, ended.stderr).toBe(0);
    expect([...lines(home, "runs.log")].sort()).toEqual([...lines(ours, "runs.log")].sort());
    expect(existsSync(`${home.path}/supervisor/supervisor.db`)).toBe(true);
    // Our folder in the home is nothing that Hermes minds.
    expect((await hermes(home, "cron", "tick")).code).toBe(0);
    expect([...lines(home, "runs.log")].sort()).toEqual([...lines(ours, "runs.log")].sort());
  });

  test(`the daemon and ${release.name}'s command line change one store without losing a change`, async () => {
    const home = copy(base);
    const busy = ["report", "quiet", "where"];
    for (const name of busy) {
      const edited = await hermes(home, "cron", "edit", name, "--schedule", "* * * * * */1", "--repeat", "500");
      expect(edited.stdout, edited.stderr).toContain("Updated job");
    }
    const daemon = await startDaemon(home);
    const library = hermesLibrary(home, churn, "25");
    const added = await createJob(home, "every 5h", "--name", "added", ...script("report.sh"));
    expect((await hermes(home, "cron", "edit", "added", "--name", "renamed")).code).toBe(0);
    expect((await hermes(home, "cron", "pause", "later")).code).toBe(0);
    expect((await hermes(home, "cron", "resume", "paused")).code).toBe(0);
    expect((await hermes(home, "cron", "remove", "killed")).code).toBe(0);
    const churned = await library;
    await until("each busy job to have run five times", () =>
      busy.every((name) => storedJob(home, name).repeat.completed >= 5),
    );
    expect(churned.code, churned.stderr).toBe(0);
    expect((await daemon.drain()).code).toBe(0);

    const names = storedJobs(home).map(({ name }) => name);
    expect(names).not.toContain("killed");
    expect(storedJob(home, "renamed")).toMatchObject({ id: added, schedule_display: "every 300m" });
    expect(storedJob(home, "later")).toMatchObject({ enabled: false, state: "paused" });
    expect(storedJob(home, "paused")).toMatchObject({ enabled: true, state: "scheduled" });
    const wanted = JSON.parse(churned.stdout.split("\n").at(-2) ?? "") as readonly Partial<StoredJob>[];
    const churnedJobs = storedJobs(home).filter(({ name }) => name.startsWith("churn"));
    expect(churnedJobs.map(({ id, name, enabled, state }) => ({ id, name, enabled, state }))).toEqual(wanted);

    // No run's end was lost either: each one that the ledger knows was counted in its record.
    const { runs } = await readJson<Runs>(home, "runs", "--limit", "0");
    for (const name of busy) {
      const job = storedJob(home, name);
      const ended = runs.filter(({ job_id }) => job_id === job.id);
      expect(ended.filter(({ state }) => state !== "completed")).toEqual([]);
      expect(job.repeat).toEqual({ times: 500, completed: ended.length });
      expect(job.fire_claim).toBeNull();
    }
    const listed = await hermes(home, "cron", "list", "--all");
    expect(listed.stdout.match(/Name:/gu)).toHaveLength(names.length);
  });
}

interface Runs {
  readonly runs: readonly { readonly job_id: string; readonly state: string }[];
}

interface Slots {
  readonly slots: readonly { readonly decision: string; readonly run_id: string | null }[];
}

interface Status {
  readonly homes: readonly { readonly tick_lock: { readonly held: boolean } }[];
}

/** Instants become their distance from `nowMs`, to five minutes: two schedulers never act in the same second. */
function maskTimes(text: string, nowMs: number): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+05:30/gu, (time) => {
      const minutes = Math.round((Date.parse(time) - nowMs) / 300_000) * 5;
      return `<now${minutes < 0 ? minutes : `+${minutes}`}m>`;
    })
    .replace(/\((?:\d+[dhms] ?)+late\)/gu, "(<some> late)");
}

function maskedFields(home: Home, name: string, nowMs: number): ReadonlyMap<string, string> {
  const job = storedJobs(home).find((one) => one.name === name);
  if (job === undefined) return new Map();
  const mask = (value: unknown): string =>
    maskTimes(JSON.stringify(value), nowMs)
      .replaceAll(home.path, "<home>")
      .replace(/"lateness_seconds":[\d.]+/u, '"lateness_seconds":"<some>"');
  return new Map([
    ["(record)", "present"],
    ...Object.entries(job).map(([field, value]): [string, string] => [field, mask(value)]),
  ]);
}

/** Hermes may have removed the record already, so by the id. */
function documentsOfId(home: Home, id: string): readonly string[] {
  const folder = `${home.path}/cron/output/${id}`;
  return existsSync(folder) ? readdirSync(folder).map((file) => readFileSync(`${folder}/${file}`, "utf8")) : [];
}

function maskDocument(home: Home, text: string): string {
  return text
    .replace(/^(\*\*Run Time:\*\*) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/mu, "$1 <time>")
    .replaceAll(home.path, "<home>");
}

/** By name, the entries of `cron list`, without the line that shows the newest row of Hermes' ledger. */
function listEntries(home: Home, text: string, nowMs: number): ReadonlyMap<string, string> {
  const masked = maskTimes(text, nowMs)
    .replaceAll(home.path, "<home>")
    .replace(/(\n\s+Execution: \w+\s+)[0-9a-f]{32}$/gmu, "$1<id>");
  const entries = masked.split(/\n(?= {2}[0-9a-f]{12} \[)/u).slice(1);
  return new Map(entries.map((entry) => [/^\s+Name:\s+(.*)$/mu.exec(entry)?.[1] ?? "", entry.split(/\n\n/u)[0] ?? ""]));
}
