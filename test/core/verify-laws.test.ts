import { expect, test } from "vitest";
import type { Run } from "../../src/core/run.ts";
import type { SlotCursor, SlotLine } from "../../src/core/slot.ts";
import { type Evidence, persistingViolations, type RunEvidence, verifyLaws } from "../../src/core/verify-laws.ts";
import { createZone } from "../../src/core/zone.ts";
import { at, sampleJob, stored, utc } from "../helpers/sample-job.ts";

const home = "default";

function sampleRun(place: number, fields: Partial<Run> = {}): Run {
  const scheduledAtMs = at("10:00:00") + place * 300_000;
  return {
    id: `run-${place}`,
    home,
    jobId: "a1",
    jobName: "sample",
    kind: "script",
    trigger: "schedule",
    scheduledAtMs,
    claimedAtMs: scheduledAtMs + 10,
    startedAtMs: scheduledAtMs + 20,
    endedAtMs: scheduledAtMs + 1000,
    attempt: 1,
    state: "completed",
    reason: null,
    exitCode: 0,
    signal: null,
    fingerprint: { pid: 100 + place, startTicks: 5, bootId: "b", pidNamespace: "p" },
    owner: `host:${100 + place}:aa`,
    adopted: false,
    error: null,
    outputBytes: 0,
    outputPath: null,
    documentPath: `/h/cron/output/a1/${place}.md`,
    ...fields,
  };
}

function evidenceOf(run: Run, fields: Partial<RunEvidence> = {}): RunEvidence {
  const end = { exitCode: 0, signal: null, cause: null };
  return {
    run,
    startedFileMs: run.startedAtMs,
    result: end,
    exit: end,
    document: "success",
    lifelineHeld: false,
    detached: false,
    spec: null,
    ...fields,
  };
}

type Slot = SlotLine & { readonly home: string };

function sampleSlot(clock: string, fields: object): Slot {
  const scheduledAtMs = at(clock);
  const line = { home, jobId: "a1", scheduledAtMs, runId: null, decidedAtMs: scheduledAtMs + 10, latenessMs: null };
  return { ...line, ...fields } as Slot;
}

type Edit = (slots: readonly Slot[]) => readonly Slot[];

interface Changes {
  readonly runs?: readonly RunEvidence[];
  readonly slots?: Edit;
  readonly cursor?: Partial<SlotCursor>;
  readonly keptFromMs?: number;
  readonly runsKeptFromMs?: ReadonlyMap<string, number>;
}

/** In the order of their claims. */
const runs = [evidenceOf(sampleRun(0)), evidenceOf(sampleRun(1)), evidenceOf(sampleRun(4))];
const slots = [
  sampleSlot("10:00:00", { decision: "run", reason: "on_time", runId: "run-0" }),
  sampleSlot("10:05:00", { decision: "run", reason: "late", runId: "run-1" }),
  sampleSlot("10:10:00", { decision: "coalesce", reason: "missed", runId: "run-1" }),
  sampleSlot("10:15:00", { decision: "run", reason: "elsewhere" }),
  sampleSlot("10:20:00", { decision: "run", reason: "on_time", runId: "run-4" }),
];

/** A job that was first seen before 10:00 and is next due at 10:25. */
function evidence(changes: Changes = {}): Evidence {
  const cursor: SlotCursor = {
    nextAtMs: at("10:25:00"),
    sinceMs: at("10:00:00"),
    scheduleText: "cron */5 * * * *",
    enabled: true,
    lastRunAtMs: null,
    ...changes.cursor,
  };
  const job = sampleJob({ nextRunAt: stored(at("10:25:00")), lastRunAt: stored(at("10:20:01")), lastStatus: "ok" });
  return {
    daemonLives: false,
    keptFromMs: changes.keptFromMs ?? Number.NEGATIVE_INFINITY,
    runsKeptFromMs: changes.runsKeptFromMs ?? new Map(),
    homes: [
      {
        name: home,
        path: "/h",
        zone: utc,
        readable: true,
        jobs: [job],
        cursors: new Map([["a1", cursor]]),
        store: { state: "same" },
      },
    ],
    runs: (changes.runs ?? runs).toReversed(),
    slots: changes.slots?.(slots) ?? slots,
    unknownFolders: [],
    setBacks: [],
    processes: [],
  };
}

/** `L4 what was found`, one for each violation. */
function show(found: Evidence): readonly string[] {
  return verifyLaws(found).flatMap(({ law, violations }) => violations.map(({ message }) => `${law} ${message}`));
}

function withRun(fields: object, more: Partial<RunEvidence> = {}): readonly RunEvidence[] {
  return [...runs.slice(0, 2), evidenceOf(sampleRun(4, fields), more)];
}

function withSlot(clock: string, fields: object): Edit {
  return (all) => all.map((slot) => (slot.scheduledAtMs === at(clock) ? ({ ...slot, ...fields } as Slot) : slot));
}

function without(clock: string): Edit {
  return (all) => all.filter((slot) => slot.scheduledAtMs !== at(clock));
}

const see = "see hermes-supervisor slots a1";
const nameless = "and no line says what became of it: see hermes-supervisor slots a1, and report it";

const triedAgain: Partial<Run> = {
  endedAtMs: at("10:20:00") + 100,
  state: "failed",
  reason: "exit",
  exitCode: 1,
  error: "no",
  documentPath: null,
  retry: { state: "started", attempt: 2, dueAtMs: at("10:20:02"), reason: null, runId: "again" },
};
const failedEnd = { exitCode: 1, signal: null, cause: null };
const withAttempt: readonly RunEvidence[] = [
  ...withRun(triedAgain, { result: failedEnd, exit: failedEnd, document: "failure" }),
  evidenceOf(
    sampleRun(4, {
      id: "again",
      trigger: "retry",
      attempt: 2,
      claimedAtMs: at("10:20:00") + 500,
      startedAtMs: at("10:20:00") + 500,
      endedAtMs: at("10:20:01"),
      documentPath: "/h/cron/output/a1/again.md",
      fingerprint: { pid: 200, startTicks: 6, bootId: "b", pidNamespace: "p" },
      owner: "host:200:bb",
    }),
  ),
];

const tampered: readonly (readonly [edit: string, changes: Changes, found: readonly string[]])[] = [
  ["nothing", {}, []],
  ["nothing, after an attempt", { runs: withAttempt, slots: withSlot("10:20:00", { runId: "again" }) }, []],
  [
    "a slot names the first attempt",
    { runs: withAttempt },
    [
      `L1 Slot 2026-06-15T10:20:00.000Z of job "a1" names run "run-4", which was tried again as run "again", expected the last attempt: ${see}, and report it`,
    ],
  ],
  [
    "a run's state is unknown",
    { runs: withRun({ state: "finished" }) },
    ['L4 Run "run-4" is recorded as "finished", expected claimed, running, completed, failed, void: report it'],
  ],
  [
    "a run ended before it started",
    { runs: withRun({ endedAtMs: at("10:19:00"), startedAtMs: at("10:20:01"), documentPath: null }) },
    [
      'L4 Run "run-4" ended at 2026-06-15T10:19:00.000Z, before its start at 2026-06-15T10:20:01.000Z: was the clock set? If not, report it',
    ],
  ],
  [
    "a run that was not started ended before its claim",
    { runs: withRun({ endedAtMs: at("10:19:00"), startedAtMs: null }, { startedFileMs: null }) },
    [
      'L4 Run "run-4" ended at 2026-06-15T10:19:00.000Z, before its claim at 2026-06-15T10:20:00.010Z: was the clock set? If not, report it',
    ],
  ],
  ["an end was read from a file, whose clock moves in steps", { runs: withRun({ endedAtMs: at("10:20:00.012") }) }, []],
  [
    "an open run has an end",
    { runs: withRun({ state: "running" }, { result: null, exit: null, lifelineHeld: true }) },
    ['L4 Run "run-4" is recorded as running, and has an end at 2026-06-15T10:20:01.000Z: report it'],
  ],
  [
    "a success has no exit code, and nothing is left in its folder",
    { runs: withRun({ exitCode: null }, { result: null, exit: null }) },
    ['L4 Run "run-4" is recorded as completed without an exit code, expected exit 0: report it'],
  ],
  [
    "a success has the reason of a failure",
    { runs: withRun({ reason: "timeout" }) },
    ['L4 Run "run-4" is recorded as completed, timeout, exit 0, which contradicts itself'],
  ],
  [
    "a document is gone",
    { runs: withRun({}, { document: "gone" }) },
    [
      'L4 The document of run "run-4" is gone, expected at "/h/cron/output/a1/4.md": nothing to do if somebody removed it',
    ],
  ],
  [
    "a document is empty",
    { runs: withRun({}, { document: "empty" }) },
    ['L4 The document of run "run-4" is empty: look at "/h/cron/output/a1/4.md", nothing to do if somebody edited it'],
  ],
  [
    "a document is another run's",
    { runs: withRun({}, { document: "foreign" }) },
    [
      'L4 The document of run "run-4" is not the one that was written for it: look at "/h/cron/output/a1/4.md", nothing to do if somebody edited it',
    ],
  ],
  [
    "a document tells of a failure",
    { runs: withRun({}, { document: "failure" }) },
    [
      'L4 Run "run-4" is recorded as completed, exit 0, and its document tells of a failure: look at "/h/cron/output/a1/4.md", and report it',
    ],
  ],
  ["a document was removed for its age", { runs: withRun({}, { document: "none" }) }, []],
  [
    "a slot's decision is unknown",
    { slots: withSlot("10:15:00", { decision: "done", reason: "on_time" }) },
    [`L1 Slot 2026-06-15T10:15:00.000Z of job "a1" is "done" for "on_time", which no slot can be: ${see}`],
  ],
  [
    "a slot's reason belongs to another decision",
    { slots: withSlot("10:15:00", { decision: "skip", reason: "missed" }) },
    [`L1 Slot 2026-06-15T10:15:00.000Z of job "a1" is "skip" for "missed", which no slot can be: ${see}`],
  ],
  [
    "a folded slot was made a skipped one",
    { slots: withSlot("10:10:00", { decision: "skip", reason: "overlap" }) },
    [`L1 Slot 2026-06-15T10:10:00.000Z of job "a1" is "skip" and names run "run-1", expected none: ${see}`],
  ],
  [
    "a slot that was served elsewhere names a run of ours",
    { slots: withSlot("10:15:00", { runId: "run-1" }) },
    [`L1 Slot 2026-06-15T10:15:00.000Z of job "a1" is "run" "elsewhere" and names run "run-1", expected none: ${see}`],
  ],
  [
    "a folded slot names no run",
    { slots: withSlot("10:10:00", { runId: null }) },
    [`L1 Slot 2026-06-15T10:10:00.000Z of job "a1" is "coalesce" and names no run: ${see}`],
  ],
  [
    "the line of a slot in the middle is gone",
    { slots: without("10:15:00") },
    [`L1 The schedule of job "a1" names 2026-06-15T10:15:00.000Z, ${nameless}`],
  ],
  [
    "the oldest line of all is gone",
    { slots: without("10:00:00") },
    [
      `L1 Run "run-0" was started for 2026-06-15T10:00:00.000Z, but that instant has no line: ${see}`,
      `L1 The schedule of job "a1" names 2026-06-15T10:00:00.000Z, ${nameless}`,
    ],
  ],
  [
    "the line of a slot is gone that was before an edit",
    {
      slots: without("10:10:00"),
      cursor: {
        sinceMs: at("10:20:00"),
        earlier: [
          { scheduleText: "interval 10", sinceMs: at("09:50:00"), nextAtMs: at("10:00:00") },
          { scheduleText: "cron */5 * * * *", sinceMs: at("10:00:00"), nextAtMs: at("10:20:00") },
        ],
      },
    },
    ["09:50", "10:10"].map((clock) => `L1 The schedule of job "a1" names 2026-06-15T${clock}:00.000Z, ${nameless}`),
  ],
  [
    "the line of a slot is gone that was before the job was switched off",
    {
      slots: without("10:15:00"),
      cursor: {
        nextAtMs: null,
        enabled: false,
        earlier: [{ scheduleText: "cron */5 * * * *", sinceMs: at("10:00:00"), nextAtMs: at("10:25:00") }],
      },
    },
    [`L1 The schedule of job "a1" names 2026-06-15T10:15:00.000Z, ${nameless}`],
  ],
  [
    "a rule was followed from an instant on that it does not name",
    {
      slots: withSlot("10:15:00", { scheduledAtMs: at("10:15:00") + 0.25 }),
      cursor: { sinceMs: at("10:15:00") + 0.25 },
    },
    [],
  ],
  [
    "the oldest run was deleted for the number of runs",
    { runs: runs.slice(1), runsKeptFromMs: new Map([["default/a1", at("10:00:00")]]) },
    [],
  ],
  ["the oldest history was deleted for its age", { slots: without("10:00:00"), keptFromMs: at("10:00:01") }, []],
  [
    "all lines are gone",
    { runs: [], slots: () => [] },
    ["10:00", "10:05", "10:10", "10:15", "10:20"].map(
      (clock) => `L1 The schedule of job "a1" names 2026-06-15T${clock}:00.000Z, ${nameless}`,
    ),
  ],
];

test.each(tampered)("verifyLaws() tells of a history in which %s", (_, changes, found) => {
  expect(show(evidence(changes))).toEqual(found);
});

test("persistingViolations() leaves what every look finds", () => {
  const first = verifyLaws(evidence({ slots: without("10:15:00") }));
  const second = verifyLaws(evidence({ slots: without("10:10:00") }));
  const count = (before: typeof first, after: typeof first) =>
    persistingViolations(before, after).flatMap((report) => report.violations).length;
  expect([count(first, first), count(first, second)]).toEqual([1, 0]);
});

test("verifyLaws() takes no run by a clock that was set back for one beside another", () => {
  const open = { startedAtMs: at("10:19:50"), claimedAtMs: at("10:19:50"), endedAtMs: null, state: "running" } as const;
  const found = [
    [...runs, evidenceOf(sampleRun(5, open))],
    [...runs.slice(0, 2), evidenceOf(sampleRun(5, open)), ...runs.slice(2)],
  ];
  const kinds = found.map((these) => {
    const single = verifyLaws(evidence({ runs: these })).find(({ law }) => law === "L2");
    return single?.violations.map(({ kind, runId }) => `${kind} ${runId}`);
  });
  expect(kinds).toEqual([[], ["overlap run-4"]]);
});

test("verifyLaws() knows of a clock that was set back between two runs whose times overlap in the order of their claims", () => {
  const again = evidenceOf(sampleRun(5, { startedAtMs: at("10:20:00.500"), claimedAtMs: at("10:20:00.500") }));
  const kinds = [
    [],
    [{ toMs: at("10:19:00"), fromMs: at("10:21:00") }],
    [{ toMs: at("10:30:00"), fromMs: at("10:31:00") }],
  ].map((setBacks) => {
    const single = verifyLaws({ ...evidence({ runs: [...runs, again] }), setBacks }).find(({ law }) => law === "L2");
    return single?.violations.map(({ kind, runId }) => `${kind} ${runId}`);
  });
  expect(kinds).toEqual([["overlap run-5"], [], ["overlap run-5"]]);
});

test("verifyLaws() knows of a clock that was set back between the end of a run and what somebody else wrote into its record", () => {
  const kinds = [
    [],
    [{ toMs: at("09:20:00"), fromMs: at("10:21:00") }],
    [{ toMs: at("09:40:00"), fromMs: at("10:41:00") }],
  ].map((setBacks) => {
    const newest = evidenceOf(sampleRun(8));
    const truth = verifyLaws({ ...evidence({ runs: [...runs, newest] }), setBacks }).find(({ law }) => law === "L4");
    return truth?.violations.map(({ kind, runId }) => `${kind} ${runId}`);
  });
  expect(kinds).toEqual([["record_old run-8"], ["record_old run-8"], []]);
});

test("verifyLaws() holds the record against the run that was claimed last, by whatever clock", () => {
  const setBackMs = at("10:30:00");
  const clocks: readonly (readonly [name: string, runs: readonly RunEvidence[]])[] = [
    ["the newest run is not told of", [...runs, evidenceOf(sampleRun(5))]],
    ["the clock was set back between two runs", [...runs.slice(0, 2), evidenceOf(sampleRun(8)), ...runs.slice(2)]],
    [
      "the clock was set back in a run",
      [...runs, evidenceOf(sampleRun(6, { startedAtMs: setBackMs, endedAtMs: setBackMs }))],
    ],
  ];
  const found = clocks.map(([name, these]) => {
    const truth = verifyLaws(evidence({ runs: these })).find(({ law }) => law === "L4");
    return [name, truth?.violations.map(({ kind, runId }) => `${kind} ${runId}`)];
  });
  expect(found).toEqual([
    ["the newest run is not told of", ["record_old run-5"]],
    ["the clock was set back between two runs", []],
    ["the clock was set back in a run", []],
  ]);
});

test("verifyLaws() takes no run for an early one whose start only a file tells, by a clock that moves in steps", () => {
  const claimedAtMs = at("10:25:00.008");
  const kinds = [4, 30].map((earlyMs) => {
    const run = evidenceOf(sampleRun(5, { startedAtMs: null, claimedAtMs }), { startedFileMs: claimedAtMs - earlyMs });
    const invention = verifyLaws(evidence({ runs: [...runs, run] })).find(({ law }) => law === "L3");
    return invention?.violations.map(({ kind }) => kind);
  });
  expect(kinds).toEqual([[], ["early"]]);
});

test("verifyLaws() knows of a clock that was set back between the claim of a run and its start", () => {
  const [claimedAtMs, startedAtMs] = [at("10:25:02"), at("10:25:00.100")];
  const kinds = [[], [{ fromMs: at("10:25:02.100"), toMs: at("10:25:00.100") }]].map((setBacks) => {
    const run = evidenceOf(sampleRun(5, { startedAtMs, claimedAtMs }));
    const invention = verifyLaws({ ...evidence({ runs: [...runs, run] }), setBacks }).find(({ law }) => law === "L3");
    return invention?.violations.map(({ kind }) => kind);
  });
  expect(kinds).toEqual([["early"], []]);
});

test("verifyLaws() counts through an hour that comes twice from where the rule has held since", () => {
  // At 01:00 UTC clocks in Berlin go back to 02:00, and the rule goes on an hour later.
  const utcMs = (clock: string): number => Date.parse(`2026-10-25T${clock}Z`);
  const line = (clock: string, fields: object): Slot => ({
    ...sampleSlot("10:00:00", fields),
    scheduledAtMs: utcMs(clock),
  });
  const lines = [
    line("00:59:20", { decision: "run", reason: "elsewhere" }),
    line("00:59:40", { decision: "run", reason: "elsewhere" }),
    // The instant that another rule would have had.
    line("01:02:00.500", { decision: "move", reason: "edited" }),
  ];
  const told = (keptFromMs: number, sinceMs = utcMs("00:59:20")): readonly string[] => {
    const cursor = { scheduleText: "cron * * * * * */20", sinceMs, nextAtMs: utcMs("02:00:20") };
    const found = evidence({ runs: [], slots: () => lines, cursor, keptFromMs });
    const berlin = { ...found, homes: found.homes.map((one) => ({ ...one, zone: createZone("Europe/Berlin", 0) })) };
    return show(berlin).filter((text) => text.includes("no line"));
  };
  expect(told(Number.NEGATIVE_INFINITY)).toEqual([
    `L1 The schedule of job "a1" names 2026-10-25T02:00:00.000Z, ${nameless}`,
  ]);
  expect(told(utcMs("01:30:00"))).toEqual(told(Number.NEGATIVE_INFINITY));
  expect(told(utcMs("01:59:30"), utcMs("01:59:30")).length).toBe(2);
});

test("verifyLaws() expects no lines of a zone from before it was set", () => {
  const ran = (clock: string): Slot => sampleSlot(clock, { decision: "run", reason: "elsewhere" });
  // Even minutes are even in UTC, and odd ones of UTC are even in Kathmandu, 5 h 45 m ahead.
  const [before, after] = [["10:16:00", "10:18:00", "10:20:00"].map(ran), ["10:21:00", "10:23:00"].map(ran)];
  const told = (lines: readonly Slot[]): readonly string[] => {
    const cursor = { scheduleText: "cron */2 * * * *", sinceMs: at("10:16:00") };
    const found = evidence({ runs: [], slots: () => lines, cursor });
    const moved = { ...found, homes: found.homes.map((one) => ({ ...one, zone: createZone("Asia/Kathmandu", 0) })) };
    return show(moved).filter((text) => text.includes("no line"));
  };
  expect(told([...before, ...after])).toEqual([]);
  expect(told([...before, ...after.slice(1)])).toEqual([
    `L1 The schedule of job "a1" names 2026-06-15T10:21:00.000Z, ${nameless}`,
  ]);
});
