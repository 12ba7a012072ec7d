import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createHome, type Home, removeHome, until } from "./home.ts";
import { hermesPython, type Release, releases } from "./releases.ts";
import { type ModelRequest, type StubModel, startStubModel, stubConfig } from "./stub-model.ts";
import { ask, misbehaveInEach, promptJob, startWorker, stopWorkers, type WorkerEnd } from "./worker.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const scripts = `${folder}scripts`;
const misbehaving = `${folder}misbehaving`;
const all = Object.values(releases);

let stub: StubModel;
const pythons = new Map<string, string>();
const homes: Home[] = [];

beforeAll(async () => {
  stub = await startStubModel();
  stub.says("stub-failure", "[CRON_FAILURE]\nthe child gave up\non the way");
  for (const release of all) pythons.set(release.name, await hermesPython(release));
});

afterEach(() => {
  stopWorkers();
  for (const home of homes.splice(0)) removeHome(home);
});

afterAll(async () => {
  await stub.close();
});

/** A home whose prompt jobs go to the stub with `key`. */
function stubHome(release: Release, key = `key-of-${release.name}`, more = ""): Home {
  const home = createHome(pythons.get(release.name) ?? "", scripts, `STUB_API_KEY=${key}\n`);
  homes.push(home);
  writeFileSync(`${home.path}/config.yaml`, stubConfig(stub.url, more), { mode: 0o600 });
  return home;
}

/** What is left of an answer once what differs from run to run is out of it. */
function judged({ answer, code, output }: WorkerEnd): object {
  if (answer === null) return { code, output };
  const { success, error, status, silent, deliver, final_text } = answer;
  return { success, error, status, silent, deliver, final_text };
}

const ok = (text: string) => ({
  success: true,
  error: null,
  status: "ok",
  silent: false,
  deliver: text,
  final_text: text,
});
const quiet = (text: string) => ({ ...ok(text), silent: true, deliver: null });
const failed = (error: string) => ({ success: false, error, status: "error", silent: false, final_text: "" });
const toolText = 'the tool said {"output": "hi", "exit_code": 0, "error": null}';

for (const release of all) {
  test(`${release.name}: a worker's answer says how its run went`, async () => {
    const home = stubHome(release, undefined, hooks);
    writeFileSync(`${home.path}/scripts/hook.sh`, 'cat >/dev/null; echo called >>"$HERMES_HOME/hooked"; echo "{}"\n');
    const cases: readonly (readonly [string, object])[] = [
      ["stub", ok("stub answer")],
      ["stub-tool", ok(toolText)],
      ["stub-silent", quiet("[SILENT]")],
      ["stub-folder", ok(toolText.replace("hi", `${home.folder}/user`))],
      ["stub-500", failed("RuntimeError: HTTP 500: stub says 500")],
    ];
    for (const [model, expected] of cases) {
      const end = await startWorker(home, promptJob(model)).ended;
      expect({ model, code: end.code, ...judged(end) }).toMatchObject({ model, code: 0, ...expected });
      expect(end.answer?.hermes).toBe(release.requirement.replace(/.*==/u, ""));
      expect(end.answer?.document).toContain("# Cron Job: probe");
      if (end.answer?.success === false) expect(end.answer.deliver).toMatch(/^⚠️ Cron 'probe' failed: /u);
    }
    // The user's own hooks hold for jobs as well: two of them ran a command.
    expect(readFileSync(`${home.path}/hooked`, "utf8")).toBe("called\ncalled\n");
    const keys = new Set(stub.requests.map((request) => request.authorization));
    expect([...keys].filter((key) => key.includes(release.name))).toEqual([`Bearer key-of-${release.name}`]);
    // The store, the ledger and the documents are the daemon's: only Hermes' incidents may have made a ledger.
    const left = existsSync(`${home.path}/cron`) ? readdirSync(`${home.path}/cron`) : [];
    expect(left.filter((name) => /^(?:jobs\.json|output)$/u.test(name))).toEqual([]);
  });

  test(`${release.name}: a worker ends although its model never answers`, async () => {
    const end = await startWorker(stubHome(release), promptJob("stub-hang"), "cold", { HERMES_CRON_TIMEOUT: "1" })
      .ended;
    expect(end.code).toBe(0);
    expect(end.answer?.error).toMatch(/^TimeoutError: Cron job 'probe' idle for \d+s \(limit 1s\)/u);
  });

  test(`${release.name}: a worker that is asked to stop says so, and ends the command that its agent runs`, async () => {
    const home = stubHome(release);
    // Nothing else on this machine sleeps so long, not even what a failed test has left.
    const command = `sleep ${(1 + all.indexOf(release)) * 1_000_000 + process.pid}`;
    const worker = startWorker(home, promptJob(`stub-${command.replace(" ", "-")}`));
    await until("the command to run", async () => (await running(command)) > 0, 300_000);
    worker.kill("SIGTERM");
    const end = await worker.ended;
    expect({ code: end.code, error: end.answer?.error }).toEqual({ code: 0, error: "Stopped before the run was over" });
    await until("the command to end", async () => (await running(command)) === 0, 300_000);
  });

  test(`${release.name}: a worker survives a Hermes that misbehaves`, async () => {
    const expected = {
      raises: "the store is upside down",
      "raises-speechless": "Speechless",
      "raises-base": "Hermes ended the run early by Odd: no exception at all",
      exits: "Hermes ended the run early by SystemExit: enough",
      interrupts: "Hermes ended the run early by KeyboardInterrupt",
      "leaves-threads": null,
      noise: null,
      "closes-its-output": null,
      "talks-too-much": null,
      "removes-itself": null,
      "is-removed": null,
    };
    const ways = Object.keys(expected) as (keyof typeof expected | "exits-hard")[];
    const ends = await misbehaveInEach(stubHome(release), promptJob("stub"), [...ways, "exits-hard"], misbehaves);
    const gone = ends.get("exits-hard");
    expect({ code: gone?.code, answer: gone?.answer }).toEqual({ code: 23, answer: null });
    for (const [way, error] of Object.entries(expected) as [keyof typeof expected, string | null][]) {
      const { code, answer, output = "" } = ends.get(way) ?? {};
      expect({ way, code, success: answer?.success, error: answer?.error }).toEqual({
        way,
        code: 0,
        success: error === null,
        error,
      });
      if (way === "noise") {
        expect(answer?.document).toBe("half \ud83d of a pair \u0000");
        expect(answer?.deliver).toBe("\udc00");
        expect(output).toContain("\u0000\u0001\u0002");
      }
      if (way === "raises") {
        expect(answer?.document).toMatch(/^# Cron Job: probe \(FAILED\)\n\n\*\*Job ID:\*\* a1b2c3d4e5f6\n/u);
        expect(answer?.document).toContain("ValueError: the store is upside down");
      }
      // The daemon reads no answer that is longer than a document can be.
      const half = "é".repeat(1 << 17);
      if (way === "talks-too-much")
        expect(answer?.document === `${half}\n\n[… 8737856 characters left out …]\n\n${half}`).toBe(true);
      // 0.19 delivers whatever it has, 0.20 nothing once its job is gone; 0.22 looks who removed it.
      const speaks = { "0.19": true, "0.20": false, "0.22": way === "removes-itself" };
      if (way === "removes-itself" || way === "is-removed")
        expect({ way, speaks: answer?.removed_itself }).toEqual({ way, speaks: speaks[release.name] });
    }
  });

  test(`${release.name}: a worker that is killed leaves no answer`, async () => {
    const home = stubHome(release);
    const stuck = startWorker(home, promptJob("stub"), "unwarmed", { ...misbehaves, MISBEHAVES: "never-returns" });
    await until(
      "the run to be under way",
      () => readFileSync(`${stuck.run}/output.log`, "utf8").includes("still at it"),
      300_000,
    );
    stuck.kill("SIGKILL");
    const killed = await stuck.ended;
    expect({ signal: killed.signal, answer: killed.answer }).toEqual({ signal: "SIGKILL", answer: null });
    expect(readdirSync(stuck.run).sort()).toEqual(["job.json", "output.log", "started"]);
    const lost = await startWorker(home, "no record").ended;
    expect({ code: lost.code, answer: lost.answer }).toEqual({ code: 1, answer: null });
    expect(lost.output).toMatch(/^Cannot read "[^"]*job\.json": dictionary update sequence/u);
  });

  test(`${release.name}: a warm worker sends the request of one that has loaded nothing, and so does a cold one`, async () => {
    const home = stubHome(release);
    const first = stub.requests.length;
    const cold = startWorker(home, promptJob("stub"), "cold", told);
    const coldEnd = await cold.ended;
    const unwarmed = startWorker(home, promptJob("stub"), "unwarmed", told);
    const unwarmedEnd = await unwarmed.ended;
    const warm = startWorker(home, promptJob("stub"), "warm", told);
    await untilItWaits(warm.pid);
    expect(existsSync(`${warm.run}/started`)).toBe(false);
    // What it kept of its warm-up, it would bring into the run: threads, open databases.
    expect(readdirSync(`/proc/${warm.pid}/task`)).toEqual([String(warm.pid)]);
    expect(openFiles(warm.pid, home.folder)).toEqual([`${warm.run}/output.log`, `${warm.run}/output.log`]);
    warm.open();
    const warmEnd = await warm.ended;
    const [coldRequest, unwarmedRequest, warmRequest] = stub.requests.slice(first);
    expect(stub.requests.length).toBe(first + 3);
    expect(existsSync(`${warm.run}/started`)).toBe(true);
    for (const [worker, end, request] of [
      [cold, coldEnd, coldRequest],
      [warm, warmEnd, warmRequest],
    ] as const) {
      expect(judged(end)).toEqual(judged(unwarmedEnd));
      expect(difference(settled(request), settled(unwarmedRequest))).toBeNull();
      expect(request?.authorization).toBe(unwarmedRequest?.authorization);
      expect(environmentAfter(worker.run)).toEqual(environmentAfter(unwarmed.run));
    }
  });

  test(`${release.name}: a warm worker whose gate closes leaves nothing`, async () => {
    const home = stubHome(release);
    const abandoned = startWorker(home, promptJob("stub"), "warm");
    abandoned.abandon();
    const end = await abandoned.ended;
    expect({ code: end.code, answer: end.answer }).toEqual({ code: 79, answer: null });
    expect(readdirSync(abandoned.run).sort()).toEqual(["job.json", "loaded", "output.log"]);
  });

  test(`${release.name}: a warm worker that is given another folder begins anew in it`, async () => {
    const home = stubHome(release);
    const elsewhere = `${home.folder}/elsewhere`;
    mkdirSync(elsewhere);
    const warm = startWorker(home, promptJob("stub"), "warm");
    warm.open({ folder: elsewhere, program: home.python, argument: `${folder}misbehaving/where.py` });
    const end = await warm.ended;
    expect(JSON.parse(end.output.split("\n").at(-2) ?? "")).toEqual({
      cwd: elsewhere,
      waits: null,
      job: "a1b2c3d4e5f6",
    });
  });

  test(`${release.name}: two homes at once keep their keys and models apart`, async () => {
    const [one, two] = [stubHome(release, "key-one"), stubHome(release, "key-two")];
    const first = stub.requests.length;
    const warm = [startWorker(one, promptJob("stub-tool"), "warm"), startWorker(two, promptJob("stub"), "warm")];
    for (const worker of warm) await untilItWaits(worker.pid);
    // Hermes reads its keys anew for each run, and so does a worker that was there before the change.
    writeFileSync(`${two.path}/.env`, "STUB_API_KEY=key-three\n");
    for (const worker of warm) worker.open();
    const ends = await Promise.all(warm.map((worker) => worker.ended));
    expect(ends.map((end) => end.answer?.final_text)).toEqual([toolText, "stub answer"]);
    const seen = stub.requests.slice(first).map(({ model, authorization }) => `${model} ${authorization}`);
    expect(seen.sort()).toEqual(["stub Bearer key-three", "stub-tool Bearer key-one", "stub-tool Bearer key-one"]);
    expect([sessions(one), sessions(two)]).toEqual([["stub-tool"], ["stub"]]);
  });

  test(`${release.name}: a worker answers questions`, async () => {
    const home = stubHome(release);
    const probed = await ask<{
      readonly version: string;
      readonly release: string;
      readonly features: Readonly<Record<string, boolean>>;
      readonly blocked_names: readonly string[];
    }>(home, { ask: "probe" });
    const [name, version] = release.requirement.split("==");
    expect({ version: probed.version, release: probed.release }).toEqual({ version, release: name });
    const features = Object.entries(probed.features).filter(([, has]) => has);
    expect(features.map(([feature]) => feature).sort()).toEqual([...expectedFeatures[release.name]].sort());
    expect(probed.blocked_names).toContain("OPENAI_API_KEY");
    const secret = `sk-proj-${"a1B2".repeat(12)}`;
    expect(await ask(home, { ask: "redact", text: "no secret" })).toEqual({ text: "no secret" });
    expect((await ask<{ text: string }>(home, { ask: "redact", text: `key ${secret}` })).text).not.toContain(secret);
    const deliver = { ask: "deliver", content: "hello", for_failure: false };
    const targets = {
      local: null,
      "telegram:123": "platform 'telegram' not configured/enabled",
      telegram: "no delivery target resolved for deliver=telegram",
      "foo:1": "unknown platform 'foo'",
    };
    for (const [target, error] of Object.entries(targets))
      expect({
        target,
        ...(await ask<object>(home, { ...deliver, job: promptJob("stub", { deliver: target }) })),
      }).toEqual({
        target,
        error,
      });
    const failure = await ask<{ readonly deliver: string }>(home, {
      ask: "failure",
      job: promptJob("stub"),
      error: "Killed for its memory",
    });
    expect(failure.deliver).toMatch(/^⚠️ Cron 'probe' failed: Killed for its memory/u);
    await expect(ask(home, { ask: "dance" })).rejects.toThrow(
      'Cannot answer "dance": expected probe, redact, deliver, failure, settle_incident or make_executions',
    );
  });
}

// Hermes tries for most of a minute to get more than nothing: the three of them wait at the same time.
test("a worker takes an empty answer for a failure", async () => {
  const workers = all.map((release) => startWorker(stubHome(release), promptJob("stub-empty")));
  for (const end of await Promise.all(workers.map((worker) => worker.ended))) {
    expect(judged(end)).toEqual({
      ...failed("Agent completed but produced empty response (model error, timeout, or misconfiguration)"),
      deliver: null,
    });
    expect(end.answer?.document).toContain("(No response generated)");
  }
});

test("0.22: a worker takes [CRON_FAILURE] for what its agent says of itself", async () => {
  const end = await startWorker(stubHome(releases["0.22"]), promptJob("stub-failure")).ended;
  expect(end.answer).toMatchObject({ success: false, error: "the child gave up\non the way", for_failure: true });
  expect(end.answer?.deliver).toContain("⚠️ Cron 'probe' failed: the child gave up\non the way");
});

const since20 = ["blocked_config", "executions", "fire_lock", "fire_owner", "keeps_completed", "monitors"];
const expectedFeatures: Readonly<Record<Release["name"], readonly string[]>> = {
  "0.19": ["executions"],
  "0.20": [...since20, "drift_guard"],
  "0.22": [
    ...since20,
    "deliveries_db",
    "execution_delivery_outcome",
    "execution_progress_at",
    "execution_scheduled_instant",
    "failure_deliver",
    "failure_marker",
    "failure_streak",
    "heartbeat_writer",
    "incidents",
    "pending_slot",
    "quota_hold",
    "unreachable_retry",
  ],
};

const misbehaves = { PYTHONPATH: misbehaving, PYTHONDONTWRITEBYTECODE: "1" };
const told = { ...misbehaves, MISBEHAVES: "tells-its-environment" };
const hooks = `hooks_auto_accept: true
hooks: {pre_tool_call: [{command: 'sh -c "exec sh $HERMES_HOME/scripts/hook.sh"'}]}
`;

/** What a run has left in its own environment, but for what names the run. */
function environmentAfter(run: string): unknown {
  const { HERMES_SESSION_ID: _, ...rest } = JSON.parse(
    readFileSync(`${run}/environment.json`, "utf8").replaceAll(run, "<run>"),
  ) as Record<string, string>;
  return rest;
}

/** A request without what Hermes says of the machine's Python: it asks four programs, and on a busy machine it gives some up. */
function settled(request: ModelRequest | undefined): string {
  return (request?.body ?? "").replace(/Python toolchain: .*?\\n\\n/u, "");
}

/** Where two texts part, with a little of what follows; null when they are equal. They are too long to be shown whole. */
function difference(ours: string, theirs: string): object | null {
  if (ours === theirs) return null;
  const at = [...ours].findIndex((character, index) => character !== theirs[index]);
  const from = Math.max(0, (at === -1 ? ours.length : at) - 100);
  return { ours: ours.slice(from, from + 300), theirs: theirs.slice(from, from + 300) };
}

/** Where the descriptors of a process lead to below `folder`. */
function openFiles(pid: number, folder: string): readonly string[] {
  const links = readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
  return links.filter((path) => path.startsWith(folder));
}

/** The models of the sessions that a home's own database holds. */
function sessions(home: Home): readonly unknown[] {
  const database = new DatabaseSync(`${home.path}/state.db`, { readOnly: true });
  try {
    return database
      .prepare("SELECT model FROM sessions")
      .all()
      .map(({ model }) => model);
  } finally {
    database.close();
  }
}

const run = promisify(execFile);

/** How many processes have exactly this command line. */
async function running(command: string): Promise<number> {
  const { stdout } = await run("ps", ["-eo", "args"]);
  return stdout.split("\n").filter((line) => line === command).length;
}

/** Once it is warm, a worker does nothing but read its gate. */
async function untilItWaits(pid: number): Promise<void> {
  // The number of the system call and its first argument, the descriptor.
  const isAtGate = (): boolean => /^\d+ 0x3 /u.test(readFileSync(`/proc/${pid}/syscall`, "utf8"));
  await until("the worker to wait at its gate", isAtGate, 300_000);
}
