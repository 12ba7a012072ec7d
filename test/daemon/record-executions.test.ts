import { expect, test } from "vitest";
import type { HermesAnswer, HermesQuestion } from "../../src/child/ask-hermes.ts";
import type { Run } from "../../src/core/run.ts";
import { createZone } from "../../src/core/zone.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createExecutionsMirror, type ExecutionsMirror, noteExecution } from "../../src/daemon/record-executions.ts";
import type { ExecutionsResult, ExecutionWrite, KnownExecutions } from "../../src/ledger/hermes-executions.ts";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import type { FileIdentity } from "../../src/system/files.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";

interface Host {
  readonly clock: FakeClock;
  readonly ledger: RunLedger;
  readonly home: HomeRuntime;
  readonly said: string[];
  readonly asked: HermesQuestion[];
  /** What each try came to, as `ms since the start: id status, …`. */
  readonly tries: string[];
  /** The file of Hermes; null while there is none. */
  file: FileIdentity | null;
  /** What the next tries come to. */
  result: ExecutionsResult;
  known: KnownExecutions;
  answer: () => HermesAnswer;
  wakes: number;
  mirror(): ExecutionsMirror;
  /** Does what the daemon's loop does for so long. */
  live(mirror: ExecutionsMirror, ms: number): Promise<void>;
  run(id: string, more?: Partial<Run> & { readonly startsLater?: boolean }): void;
  end(id: string): void;
}

const startMs = Date.UTC(2026, 5, 15, 9);

function identityOf(inode: number, changed = 0): FileIdentity {
  return { device: 1n, inode: BigInt(inode), sizeBytes: 1, modifiedNs: BigInt(changed), changedNs: BigInt(changed) };
}

function createHost(): Host {
  const clock = createFakeClock(startMs);
  const beganMs = clock.monotonicMs();
  const folder = { stat: () => ({ sizeBytes: 1 }) };
  const ledger = createRunLedger({ files: folder } as unknown as Parameters<typeof createRunLedger>[0], ":memory:");
  const note =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      host.said.push(`${level}: ${message} ${JSON.stringify(fields)}`);
    };
  const attempt = (text: string): ExecutionsResult => {
    host.tries.push(
      `${clock.monotonicMs() - beganMs}: ${text}${host.result.kind === "done" ? "" : `, ${host.result.kind}`}`,
    );
    return host.result;
  };
  const home = {
    name: "default",
    path: "/hermes",
    cronFolder: "/hermes/cron",
    state: { kind: "active" },
    wakeAtMs: null,
    executionsDue: new Map(),
    settings: {
      zone: createZone("UTC", 0),
      hermes: null,
      isFindingHermes: false,
      environments: { prompt: { variables: { PATH: "/bin", HERMES_HOME: "/other" } } },
    },
    executions: {
      identity: () => host.file,
      known: () => {
        if (host.file === null) return { kind: "absent" };
        const result = attempt("compare");
        return result.kind === "done" ? host.known : result;
      },
      write: (writes: readonly ExecutionWrite[]) =>
        attempt(writes.map(({ row }) => `${row.id} ${row.status}`).join(", ")),
    },
  } as unknown as HomeRuntime;
  const parts = {
    system: { clock, log: { info: note("info"), warn: note("warn"), error: note("error"), debug: note("debug") } },
    ledger,
    async askHermes(question: HermesQuestion) {
      host.asked.push(question);
      await Promise.resolve();
      return host.answer();
    },
  } as unknown as DaemonParts;
  const host: Host = {
    clock,
    ledger,
    home,
    said: [],
    asked: [],
    tries: [],
    file: identityOf(7),
    result: { kind: "done" },
    known: { statuses: new Map(), keptFromMs: null },
    answer: () => ({ ok: true, answer: {} }),
    wakes: 0,
    mirror: () =>
      createExecutionsMirror(
        parts,
        () => new Map([["default", home]]),
        () => void host.wakes++,
      ),
    async live(mirror, ms) {
      const untilMs = clock.monotonicMs() + ms;
      for (;;) {
        mirror.record();
        await new Promise(setImmediate);
        const wakeAtMs = mirror.wakeAtMonotonicMs();
        if (wakeAtMs === null || wakeAtMs > untilMs) break;
        clock.pass(Math.max(0, wakeAtMs - clock.monotonicMs()));
      }
      clock.pass(untilMs - clock.monotonicMs());
    },
    run(id, { startsLater = false, ...more } = {}) {
      const run = {
        id,
        home: "default",
        jobId: "aaaaaaaaaaaa",
        jobName: "report",
        kind: "script",
        trigger: "schedule",
        scheduledAtMs: clock.nowMs(),
        claimedAtMs: clock.nowMs(),
        startedAtMs: null,
        endedAtMs: null,
        attempt: 1,
        state: "claimed",
        reason: null,
        exitCode: null,
        signal: null,
        fingerprint: { pid: 42, startTicks: 1, bootId: "boot", pidNamespace: null },
        owner: `host:42:row of ${id}`,
        adopted: false,
        error: null,
        outputBytes: null,
        outputPath: null,
        documentPath: null,
        ...more,
      } as const;
      ledger.claim([run]);
      if (!startsLater) ledger.start(id, clock.nowMs());
    },
    end(id) {
      const end = { exitCode: 0, signal: null, error: null, outputBytes: null, outputPath: null, documentPath: null };
      ledger.close(id, { ...end, state: "completed", reason: null, endedAtMs: clock.nowMs() });
    },
  };
  return host;
}

test("what happens to a run within a moment is written together", async () => {
  const host = createHost();
  const mirror = host.mirror();
  mirror.meet();
  await host.live(mirror, 5000);
  expect(host.tries).toEqual(["1000: compare"]);
  host.run("a");
  noteExecution(host.home, "a");
  await host.live(mirror, 150);
  host.end("a");
  noteExecution(host.home, "a", { error: null });
  await host.live(mirror, 5000);
  expect(host.tries.slice(1)).toEqual(["5200: row of a completed"]);
  expect(mirror.wakeAtMonotonicMs()).toBe(null);
});

test("the row of a prompt job's run is written at once, as running", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  host.run("a");
  noteExecution(host.home, "a", { startedAtMs: host.clock.nowMs() });
  // No two looks at a real clock are at the same moment.
  const { monotonicMs } = host.clock;
  host.clock.monotonicMs = () => {
    host.clock.pass(0.001);
    return monotonicMs();
  };
  for (let turns = 0; turns < 3; turns++) {
    mirror.record();
    expect(mirror.wakeAtMonotonicMs() === null).toBe(turns > 0);
  }
  expect(host.tries.slice(1)).toEqual([expect.stringMatching(/^5000\.\d+: row of a running$/u)]);
});

test("a run whose row was written before its start was recorded is looked at again soon", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  noteExecution(host.home, "earlier");
  await host.live(mirror, 190);
  host.run("a", { startsLater: true });
  noteExecution(host.home, "a");
  await host.live(mirror, 20);
  // The daemon's loop has gone to sleep when the start is recorded.
  host.ledger.start("a", host.clock.nowMs());
  noteExecution(host.home, "a");
  const before = host.wakes;
  while (host.wakes === before && host.clock.fireNext());
  await host.live(mirror, 5000);
  expect(host.tries.slice(1)).toEqual(["5200: row of a claimed", "5600: row of a running"]);
  expect([host.wakes, host.clock.nextMs()]).toEqual([before + 1, null]);
});

test("nothing is written right before a job is due, unless it has waited for long", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  host.run("a");
  noteExecution(host.home, "a");
  // A job is due each moment.
  const always = { get: () => host.clock.nowMs() + 10 };
  Object.defineProperty(host.home, "wakeAtMs", always);
  await host.live(mirror, 10_000);
  expect(host.tries.slice(1)).toEqual(["7210: row of a running"]);
});

test("a busy file is tried again at longer and longer intervals, and said once", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  host.result = { kind: "busy", problem: "database is locked" };
  host.run("a");
  noteExecution(host.home, "a");
  await host.live(mirror, 100_000);
  expect(host.tries.slice(1)).toEqual(
    [5200, 6200, 8200, 12_200, 20_200, 36_200, 66_200, 96_200].map((ms) => `${ms}: row of a running, busy`),
  );
  const warning =
    'warn: Hermes\' own ledger cannot be written now; hermes cron runs shows our runs when it can {"home":"default","error":"database is locked"}';
  expect(host.said).toEqual([warning]);
  host.end("a");
  host.result = { kind: "done" };
  await host.live(mirror, 30_000);
  expect(host.tries.at(-1)).toBe("126200: row of a completed");
  expect(host.said.slice(1)).toEqual(['info: Hermes\' own ledger can be written again {"home":"default"}']);
});

test("while a file is busy no more than a hundred runs are kept in mind, and none is lost", async () => {
  const host = createHost();
  const mirror = host.mirror();
  mirror.meet();
  await host.live(mirror, 5000);
  host.result = { kind: "busy", problem: "database is locked" };
  for (let index = 0; index < 150; index++) {
    host.run(`r${index}`);
    host.end(`r${index}`);
    noteExecution(host.home, `r${index}`, { error: "long ".repeat(1000) });
  }
  await host.live(mirror, 500);
  expect(host.home.executionsDue.size).toBe(0);
  host.result = { kind: "done" };
  await host.live(mirror, 5000);
  expect(host.tries.slice(-2)[0]).toBe("6200: compare");
  expect(host.tries.at(-1)?.split(", ")).toHaveLength(150);
});

test("a file that is not what we know is said once, and looked at again when it has changed", async () => {
  const host = createHost();
  const mirror = host.mirror();
  mirror.meet();
  await host.live(mirror, 5000);
  host.result = { kind: "left", problem: "file is not a database" };
  for (const id of ["a", "b", "c"]) {
    host.run(id);
    noteExecution(host.home, id);
    await host.live(mirror, 5000);
    host.end(id);
  }
  expect(host.tries.slice(1)).toEqual(["5200: row of a running, left"]);
  expect(host.said).toEqual([
    'warn: Hermes\' own ledger is left alone; hermes cron runs does not show our runs {"home":"default","path":"/hermes/cron/executions.db","error":"file is not a database"}',
  ]);
  host.file = identityOf(7, 1);
  host.result = { kind: "done" };
  noteExecution(host.home, "c");
  await host.live(mirror, 5000);
  expect(host.tries.slice(2)).toEqual([
    "20200: compare",
    "20200: row of c completed, row of b completed, row of a completed",
  ]);
  expect(host.said.slice(1)).toEqual(['info: Hermes\' own ledger can be written again {"home":"default"}']);
});

test("after a crash the runs are compared: what is missing or open is written, and what ran before the file is not", async () => {
  const host = createHost();
  for (const id of ["before", "before and open"]) host.run(id);
  host.end("before");
  host.clock.pass(1000);
  host.mirror().meet();
  for (const id of ["missing", "open", "unknown", "whole", "still open", "started", "not there"]) host.run(id);
  for (const id of ["missing", "open", "unknown", "whole"]) host.end(id);
  host.known = {
    statuses: new Map([
      ["row of open", "running"],
      ["row of unknown", "unknown"],
      ["row of whole", "completed"],
      ["row of still open", "running"],
      ["row of started", "claimed"],
      ["row of nobody", "running"],
    ]),
    keptFromMs: null,
  };
  host.clock.pass(1000);
  const next = host.mirror();
  next.meet();
  await host.live(next, 5000);
  expect(host.tries.at(-1)?.split(": ")[1]?.split(", ").toSorted()).toEqual([
    "row of before and open running",
    "row of missing completed",
    "row of not there running",
    "row of open completed",
    "row of started running",
    "row of unknown completed",
  ]);
});

test("what runs after the clock was set back is made up for like all else", async () => {
  const host = createHost();
  host.mirror().meet();
  host.clock.setWall(startMs - 3_600_000);
  host.run("before anybody looked");
  host.end("before anybody looked");
  host.clock.pass(1000);
  host.mirror().meet();
  host.run("missing");
  host.end("missing");
  host.clock.pass(1000);
  await host.live(host.mirror(), 5000);
  expect(host.tries).toEqual(["3000: compare", "3000: row of missing completed"]);
});

test("a clock that is set back while the daemon lives is noticed before the next claim", async () => {
  const host = createHost();
  const mirror = host.mirror();
  mirror.meet();
  host.clock.setWall(startMs - 3_600_000);
  mirror.meet();
  host.run("missing");
  host.end("missing");
  host.clock.pass(1000);
  await host.live(host.mirror(), 5000);
  expect(host.tries).toEqual(["2000: compare", "2000: row of missing completed"]);
});

test("a run that Hermes would have deleted by now is not made up for, nor is any in a file that is another", async () => {
  const host = createHost();
  host.mirror().meet();
  host.run("old");
  host.end("old");
  host.clock.pass(1000);
  host.run("new");
  host.end("new");
  host.known = { statuses: new Map(), keptFromMs: startMs + 500 };
  await host.live(host.mirror(), 5000);
  expect(host.tries.at(-1)).toBe("2000: row of new completed");
  host.file = identityOf(8);
  host.known = { statuses: new Map(), keptFromMs: null };
  const count = host.tries.length;
  await host.live(host.mirror(), 5000);
  expect(host.tries.slice(count)).toEqual(["7000: compare"]);
});

const hermes = { python: "/opt/python", identity: "first", features: { executions: true } };

test("where there is no file nothing is written, and Hermes is asked for one if it keeps it", async () => {
  const host = createHost();
  host.file = null;
  const mirror = host.mirror();
  const settings = host.home.settings as { hermes: unknown; isFindingHermes: boolean };
  const note = async (id: string): Promise<void> => {
    host.run(id);
    noteExecution(host.home, id);
    await host.live(mirror, 5000);
  };
  await note("without Hermes");
  settings.hermes = { ...hermes, features: { executions: false } };
  await note("of a Hermes that keeps none");
  expect([host.asked, host.tries, host.home.executionsDue.size]).toEqual([[], [], 0]);

  settings.isFindingHermes = true;
  await note("a");
  expect(mirror.isSettled()).toBe(false);
  settings.isFindingHermes = false;
  settings.hermes = hermes;
  host.answer = () => {
    host.file = identityOf(9);
    return { ok: true, answer: {} };
  };
  await host.live(mirror, 5000);
  expect(host.asked).toEqual([
    {
      python: "/opt/python",
      question: { ask: "make_executions" },
      environment: { PATH: "/bin", HERMES_HOME: "/hermes" },
      timeoutMs: 30_000,
      signal: expect.any(AbortSignal),
    },
  ]);
  expect(mirror.isSettled()).toBe(true);
  await host.live(mirror, 5000);
  expect(host.tries.at(-1)).toMatch(/: row of a running$/u);
});

test("a Hermes that cannot make its file is asked once, and again when it is another", async () => {
  const host = createHost();
  host.file = null;
  const mirror = host.mirror();
  const settings = host.home.settings as { hermes: unknown };
  settings.hermes = hermes;
  host.answer = () => ({ ok: false, error: "no room" });
  for (const id of ["a", "b"]) {
    host.run(id);
    noteExecution(host.home, id);
    await host.live(mirror, 5000);
    await host.live(mirror, 5000);
  }
  expect(host.asked).toHaveLength(1);
  expect(mirror.isSettled()).toBe(true);
  expect(host.said).toEqual([
    'warn: Hermes could not make its own ledger; hermes cron runs does not show our runs {"home":"default","error":"no room"}',
  ]);
  settings.hermes = { ...hermes, identity: "second" };
  noteExecution(host.home, "b");
  await host.live(mirror, 5000);
  expect(host.asked).toHaveLength(2);
});

test("finish() writes what is due, and asks nobody", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  host.run("a");
  noteExecution(host.home, "a");
  mirror.finish();
  expect(host.tries.slice(1)).toEqual(["5000: row of a running"]);
  host.file = null;
  (host.home.settings as { hermes: unknown }).hermes = hermes;
  noteExecution(host.home, "a");
  mirror.finish();
  expect(host.asked).toEqual([]);
});

test("a file of Hermes that has no table of runs yet gets one from Hermes, and then its rows", async () => {
  const host = createHost();
  const mirror = host.mirror();
  await host.live(mirror, 5000);
  (host.home.settings as { hermes: unknown }).hermes = hermes;
  host.result = { kind: "absent" };
  host.answer = () => {
    host.result = { kind: "done" };
    return { ok: true, answer: {} };
  };
  host.run("a");
  noteExecution(host.home, "a");
  await host.live(mirror, 1000);
  await host.live(mirror, 1000);
  expect(host.asked).toHaveLength(1);
  expect(host.tries.slice(1)).toEqual(["5200: row of a running, absent", "5200: compare", "5400: row of a running"]);
  expect(host.said).toEqual([]);
});
