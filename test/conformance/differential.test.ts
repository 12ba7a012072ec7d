import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { differences } from "./differential-differences.ts";
import { executions, maskExecution } from "./executions.ts";
import {
  copyHome,
  createHome,
  createJob,
  type Ended,
  type Home,
  hermes,
  removeHome,
  type StoredJob,
  stopAll,
  storedJob,
  storedJobs,
  until,
} from "./home.ts";
import { hermesPython, type Release, releases } from "./releases.ts";
import { type Situation, situations, sourceId } from "./situations.ts";
import { type StubModel, startStubModel, stubConfig } from "./stub-model.ts";
import { startDaemon } from "./supervisor.ts";

// The older two releases share the situations that all have; HERMES_SUPERVISOR_ALL_SITUATIONS=1 tries each beside each.
const triesAll = process.env["HERMES_SUPERVISOR_ALL_SITUATIONS"] === "1";

// The same jobs with the same model, once through a tick of real Hermes and once through our daemon: what is left of them is the same.

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const zoneMinutes = 330;
const hourMs = 3_600_000;
const nowhere = "http://127.0.0.1:9/v1";

type Record = Readonly<{ [field: string]: unknown }>;

/** By where it stands, the text of everything that a job's run left behind. */
type Left = ReadonlyMap<string, string>;

interface Found {
  readonly situation: string;
  readonly where: string;
  readonly hermes: string;
  readonly ours: string;
}

/** A time as Hermes writes it, in the zone of the test homes. */
function stored(ms: number): string {
  return `${new Date(ms + zoneMinutes * 60_000).toISOString().slice(0, 19)}+05:30`;
}

function idOf(index: number): string {
  return (0xd1ff00000000 + index).toString(16);
}

/** A home whose models are the stub's; its `cron` section is the one thing in which the two sides differ. */
function writeConfig(home: Home, url: string, lostUrl: string, parallel: number, isBare: boolean): void {
  const more = `cron: {max_parallel_jobs: ${parallel}, script_timeout_seconds: 8}\n`;
  const rest = "key_env: STUB_API_KEY, api_mode: chat_completions";
  const others = `  dead: {base_url: "${nowhere}", ${rest}}\n  lost: {base_url: "${lostUrl}", ${rest}}\n`;
  const config = stubConfig(url, more).replace("providers:\n", `providers:\n${others}`);
  const text = isBare ? config.replace(/^model: .*$/mu, "model: {provider: stub}") : config;
  writeFileSync(`${home.path}/config.yaml`, text, { mode: 0o600 });
}

/** Says what Hermes 0.22 takes for a name that no network knows, though not by the words that it puts into its own: then no call was made. */
async function startLostModel(): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((_request, response) => {
    const body = { error: { message: "nodename nor servname is known", type: "stub" } };
    response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, server };
}

/** The record that this release makes of a job, as a situation wants it. */
function recordOf(template: Record, home: Home, situation: Situation, index: number, nowMs: number): Record {
  const { name, fields = {}, script, due } = situation;
  const file = script === undefined ? null : `s${index}.sh`;
  if (file !== null) writeFileSync(`${home.path}/scripts/${file}`, `${script}\n`);
  const dueMs = nowMs + (due === null ? hourMs : due?.endsWith("long past") ? -3 * hourMs : -10_000);
  const at = stored(Math.floor(dueMs / 60_000) * 60_000);
  const past = new Date(dueMs + zoneMinutes * 60_000);
  const daily = `${past.getUTCMinutes()} ${past.getUTCHours()} * * *`;
  const schedule = due?.startsWith("cron")
    ? { kind: "cron", expr: daily, display: daily }
    : due?.startsWith("once")
      ? { kind: "once", run_at: stored(dueMs), display: "once at its time" }
      : { kind: "interval", minutes: 360, display: "every 360m" };
  const record = {
    ...template,
    id: idOf(index),
    name,
    prompt: `Situation "${name}".`,
    schedule,
    schedule_display: schedule.display,
    repeat: { times: schedule.kind === "once" ? 1 : null, completed: 0 },
    next_run_at: schedule.kind === "cron" ? at : stored(dueMs),
    ...(situation.says === undefined ? {} : { model: modelOf(index) }),
    ...(file === null ? {} : { script: file }),
    ...Object.fromEntries(Object.entries(fields).filter(([field]) => isKnown(field, template))),
  };
  return JSON.parse(
    JSON.stringify(record)
      .replaceAll("<home>", home.path)
      .replaceAll("<script>", file ?? "")
      .replaceAll("<due>", stored(dueMs)),
  ) as Record;
}

/** A field that the release does not have would make its store one of a later release. */
function isKnown(field: string, template: Record): boolean {
  const since20 = "monitor_script" in template;
  const since22 = "failure_streak" in template;
  if (field === "preflight_alerted") return since20;
  return field in template || since22;
}

function modelOf(index: number): string {
  return `says-${index}`;
}

/** A daemon that ends when all that was due has run. `start --once` would not do: it leaves to the next tick what has no room in this one. */
async function runOurs(home: Home): Promise<Ended> {
  const before = new Map(storedJobs(home).map((job) => [job.id, job.last_run_at]));
  const isDue = ({ enabled, next_run_at }: StoredJob): boolean =>
    enabled && next_run_at !== null && Date.parse(next_run_at) < Date.now();
  const due = storedJobs(home)
    .filter(isDue)
    .map(({ id }) => id);
  const daemon = await startDaemon(home);
  await until(
    "all that was due to have run",
    () => {
      const jobs = new Map(storedJobs(home).map((job) => [job.id, job]));
      return due.every((id) => jobs.get(id)?.last_run_at !== before.get(id));
    },
    540_000,
  );
  return await daemon.drain();
}

function writeStore(home: Home, jobs: readonly Record[], release: Release): void {
  const text = JSON.stringify({ jobs, updated_at: stored(Date.now()) }, null, 2);
  const escaped = text.replace(/[\u0080-\uffff]/gu, (char) =>
    char
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
  writeFileSync(`${home.path}/cron/jobs.json`, release.escapesText ? escaped : text, { mode: 0o600 });
}

/** A home of this release with what the situations ask for, and no job that is due. */
async function prepareHome(release: Release): Promise<Home> {
  const env = "STUB_API_KEY=key\nMY_TOKEN=correct-horse-battery\n";
  const home = createHome(await hermesPython(release), scripts, env);
  writeConfig(home, nowhere, nowhere, 1, false);
  for (const folder of ["work", "scripts/folder", "skills/count-deals"])
    mkdirSync(`${home.path}/${folder}`, { recursive: true });
  const skill = "---\nname: count-deals\ndescription: Counts deals.\n---\n\nCount each deal once.\n";
  writeFileSync(`${home.path}/skills/count-deals/SKILL.md`, skill);
  rmSync(`${home.path}/scripts/gone.sh`);
  await createJob(home, "every 6h", "Say something.", "--name", "template");
  return home;
}

/** Runs all situations in copies of `base`, one with a model and one without, and reads what is left of each. */
async function runSide(
  side: "hermes" | "ours",
  base: Home,
  release: Release,
  all: readonly Situation[],
  nowMs: number,
  cleanup: (() => unknown)[],
): Promise<ReadonlyMap<string, Left>> {
  const [stub, lost] = await Promise.all([startStubModel(), startLostModel()]);
  cleanup.push(
    () => stub.close(),
    () => lost.server.close(),
  );
  for (const [index, { says }] of all.entries()) if (says !== undefined) stub.says(modelOf(index), says);
  const template = storedJob(base, "template");
  const left = new Map<string, Left>();
  async function runHome(isBare: boolean): Promise<void> {
    const home = copyHome(base);
    cleanup.push(() => removeHome(home));
    writeConfig(home, stub.url, lost.url, side === "ours" ? 3 : 4, isBare);
    const mine = [...all.entries()].filter(([, one]) => (one.isBare ?? false) === isBare);
    const jobs = mine.map(([index, one]) => recordOf(template, home, one, index, nowMs));
    writeStore(home, [...jobs, { ...template, id: sourceId, name: "source", enabled: false }], release);
    const source = `${home.path}/cron/output/${sourceId}`;
    mkdirSync(source, { recursive: true, mode: 0o700 });
    writeFileSync(`${source}/2026-11-01_10-00-00.md`, "# Cron Job: source\n\n## Response\n\nseven deals\n");
    const ended = side === "ours" ? await runOurs(home) : await hermes(home, "cron", "tick");
    expect(ended.code, ended.stderr).toBe(0);
    for (const [index, { name }] of mine) left.set(name, readLeft(home, idOf(index), nowMs, stub, name));
  }
  await Promise.all([runHome(false), runHome(true)]);
  return left;
}

for (const release of Object.values(releases)) {
  const known = situations.filter((one) => one.releases === undefined || one.releases.includes(release.name));
  const all = known.filter(
    (_, index) => triesAll || release.name === "0.22" || index % 2 === Number(release.name === "0.20"),
  );
  const names = new Set(all.map(({ name }) => name));

  describe(`beside ${release.name}`, () => {
    const cleanup: (() => unknown)[] = [];
    let found: readonly Found[];
    let theirs: ReadonlyMap<string, Left>;

    beforeAll(async () => {
      const base = await prepareHome(release);
      cleanup.push(() => removeHome(base));
      const nowMs = Date.now();
      const run = (side: "hermes" | "ours") => runSide(side, base, release, all, nowMs, cleanup);
      const [hermesLeft, ours] = await Promise.all([run("hermes"), run("ours")]);
      theirs = hermesLeft;
      found = all.flatMap(({ name }) => compare(name, theirs.get(name) ?? new Map(), ours.get(name) ?? new Map()));
    });

    afterAll(async () => {
      stopAll();
      for (const act of cleanup) await act();
    });

    test(`${all.length} jobs leave what a tick of ${release.name} leaves, but for the listed differences`, () => {
      const listed = differences
        .filter((one) => one.releases.includes(release.name))
        .flatMap(({ situations, left }) =>
          situations
            .filter((situation) => names.has(situation))
            .flatMap((situation) =>
              Object.entries(left).map(([where, [hermes, ours]]) => ({ situation, where, hermes, ours })),
            ),
        );
      expect(sorted(found)).toEqual(sorted(listed));
      // Two sides that did nothing would agree as well.
      const ran = [...theirs.values()].filter((left) => left.has("row") && left.has("record"));
      expect(ran.length).toBeGreaterThan(0.7 * all.length);
      if (names.has("lost")) expect(theirs.get("lost")?.has("record unreachable_retry")).toBe(release.name === "0.22");
    });
  });
}

function sorted(list: readonly Found[]): readonly Found[] {
  return [...list].sort((one, other) =>
    `${one.situation} ${one.where}` < `${other.situation} ${other.where}` ? -1 : 1,
  );
}

/** The lines in the middle in which two texts differ. */
function compare(situation: string, theirs: Left, ours: Left): readonly Found[] {
  const isGone = (where: string): boolean =>
    ["record ", "row "].some((part) => where.startsWith(part) && theirs.has(part.trim()) !== ours.has(part.trim()));
  return [...new Set([...theirs.keys(), ...ours.keys()])]
    .filter((where) => !isGone(where))
    .flatMap((where) => {
      const their = theirs.get(where)?.split("\n") ?? ["absent"];
      const our = ours.get(where)?.split("\n") ?? ["absent"];
      if (their.join("\n") === our.join("\n")) return [];
      while (their.length > 0 && our.length > 0 && their[0] === our[0]) {
        their.shift();
        our.shift();
      }
      while (their.length > 0 && our.length > 0 && their.at(-1) === our.at(-1)) {
        their.pop();
        our.pop();
      }
      return [{ situation, where, hermes: their.join("\n"), ours: our.join("\n") }];
    });
}

function readLeft(home: Home, id: string, nowMs: number, stub: StubModel, name: string): Left {
  const left = new Map<string, string>();
  const job = storedJobs(home).find((one) => one.id === id);
  if (job !== undefined) {
    left.set("record", "kept");
    for (const [field, value] of Object.entries(job))
      left.set(`record ${field}`, maskTimes(mask(home, JSON.stringify(value)), nowMs));
  }
  const rows = executions(home).filter((one) => one.job_id === id);
  if (rows.length > 0) left.set("row", `${rows.length}`);
  for (const row of rows)
    for (const [column, value] of Object.entries(maskExecution(home, row) as Record))
      if (column !== "progress_at")
        left.set(`row ${column}`, [left.get(`row ${column}`) ?? [], JSON.stringify(value)].flat().join("\n"));
  const folder = `${home.path}/cron/output/${id}`;
  if (existsSync(folder))
    left.set(
      "document",
      readdirSync(folder)
        .map((file) => maskDocument(home, id, readFileSync(`${folder}/${file}`, "utf8"), nowMs))
        .join("\n=====\n"),
    );
  const requests = stub.requests.filter(({ body }) => body.includes(`Situation \\"${name}\\".`));
  left.set("requests", requests.map(({ body }) => maskRequest(home, body)).join("\n"));
  return left;
}

function mask(home: Home, text: string): string {
  return text.replaceAll(home.path, "<home>").replaceAll(home.folder, "<folder>");
}

/** Two schedulers never act in the same second, and a busy machine takes its time. */
function maskTimes(text: string, nowMs: number): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+05:30/gu, (time) => {
      const hours = Math.round((Date.parse(time) - nowMs) / hourMs);
      return `<${hours < 0 ? hours : `+${hours}`}h>`;
    })
    .replace(/"lateness_seconds":[\d.]+,"kind":"(?:on_time|late)"/u, '"lateness_seconds":"<some>","kind":"<not long>"')
    .replace(/"lateness_seconds":[\d.]+/u, '"lateness_seconds":"<some>"');
}

/** What Hermes found out of the machine depends on how busy that is, and where a tick works on where it was started. */
function maskRequest(home: Home, body: string): string {
  const text = mask(home, body)
    .replace(/Python toolchain: [^\\]*/gu, "")
    .replace(`Current working directory: ${process.cwd()}\\n`, "Current working directory: <folder>/user\\n")
    .replace(/(?:\\n){2,}/gu, "\\n\\n");
  return JSON.stringify(JSON.parse(text), null, 1);
}

function maskDocument(home: Home, id: string, text: string, nowMs: number): string {
  const masked = text.replace(/^(\*\*Run Time:\*\*) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/mu, "$1 <time>");
  return maskTimes(mask(home, masked), nowMs).replaceAll(id, "<id>");
}
