import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { JobPatch } from "../../src/core/job.ts";
import { createZone } from "../../src/core/zone.ts";
import {
  CorruptStoreError,
  editJobsFile,
  isEscapedText,
  type JobsFile,
  jobsFileBytesMax,
  noFeatures,
  parseJobsFile,
  patchRecord,
  readRecord,
} from "../../src/store/jobs-file.ts";

const utc = createZone("UTC", 0);
const everything = { runFields: true };

const full = `{
      "id": "542c70cbdd64",
      "name": "Say hi — naïve ☕",
      "prompt": "",
      "skills": [],
      "script": "hi.sh",
      "interpreter": "/usr/bin/python3",
      "no_agent": true,
      "schedule": {
        "kind": "interval",
        "minutes": 30,
        "display": "every 30m"
      },
      "schedule_display": "every 30m",
      "repeat": {
        "times": 3,
        "completed": 1
      },
      "enabled": true,
      "state": "scheduled",
      "paused_at": null,
      "paused_reason": "by hand",
      "next_run_at": "2026-11-21T09:27:02.499390+00:00",
      "last_run_at": "2026-11-21T09:57:02+01:00",
      "last_status": "error",
      "last_error": "boom",
      "failure_streak": 2,
      "workdir": "/srv",
      "fire_claim": {
        "at": "2026-11-21T09:26:57.761871+00:00",
        "by": "host-a:4242:0123"
      },
      "run_claim": {
        "at": "soon",
        "by": "host-a:4242",
        "outage": true
      },
      "pending_slot": {
        "scheduled_at": "2026-11-21T09:00:00+00:00",
        "at": "2026-11-21T09:00:01+00:00",
        "by": "host-a:7"
      },
      "manual_run_at": "2026-11-21T09:27:02.499390+00:00",
      "quota_hold_until": "2026-11-21T12:00:00Z"
    }`;

test("readRecord() reads every field that we know", () => {
  expect(readRecord(full, utc)).toEqual({
    features: { runFields: true },
    job: {
      id: "542c70cbdd64",
      name: "Say hi — naïve ☕",
      kind: "script",
      script: "hi.sh",
      interpreter: "/usr/bin/python3",
      workdir: "/srv",
      schedule: { kind: "interval", minutes: 30 },
      scheduleText: "every 30m",
      enabled: true,
      state: "scheduled",
      pausedAt: null,
      pausedReason: "by hand",
      repeatTimes: 3,
      repeatCompleted: 1,
      nextRunAt: { text: "2026-11-21T09:27:02.499390+00:00", ms: Date.UTC(2026, 10, 21, 9, 27, 2) + 499.39 },
      lastRunAt: { text: "2026-11-21T09:57:02+01:00", ms: Date.UTC(2026, 10, 21, 8, 57, 2) },
      lastStatus: "error",
      lastError: "boom",
      failureStreak: 2,
      fireClaim: {
        at: { text: "2026-11-21T09:26:57.761871+00:00", ms: Date.UTC(2026, 10, 21, 9, 26, 57) + 761.871 },
        by: "host-a:4242:0123",
      },
      runClaim: { at: null, by: "host-a:4242", isOutage: true },
      pendingSlot: {
        scheduledAt: { text: "2026-11-21T09:00:00+00:00", ms: Date.UTC(2026, 10, 21, 9) },
        at: { text: "2026-11-21T09:00:01+00:00", ms: Date.UTC(2026, 10, 21, 9, 0, 1) },
        by: "host-a:7",
      },
      manualRunAt: "2026-11-21T09:27:02.499390+00:00",
      quotaHoldUntil: { text: "2026-11-21T12:00:00Z", ms: Date.UTC(2026, 10, 21, 12) },
      parkedAt: null,
      fault: null,
    },
  });
});

/** What stands in a record beside an id, and what a job has that was read from it. */
const readings: readonly (readonly [fields: string, job: Readonly<Record<string, unknown>>])[] = [
  ['"enabled": null', { enabled: false }],
  ['"enabled": 0', { enabled: false }],
  ['"enabled": ""', { enabled: false }],
  ['"enabled": []', { enabled: false }],
  ['"enabled": {}', { enabled: false }],
  ['"enabled": "false"', { enabled: true }],
  ['"enabled": NaN', { enabled: true }],
  ['"x": 1', { enabled: true, state: "scheduled", kind: "prompt", name: "a", scheduleText: "?" }],
  ['"state": ""', { state: "scheduled" }],
  ['"state": "SCHEDULED"', { state: "SCHEDULED" }],
  ['"paused_at": true', { pausedAt: "true" }],
  ['"paused_at": ""', { pausedAt: null }],
  ['"name": "  n  "', { name: "n" }],
  ['"name": null, "prompt": "do it"', { name: "do it" }],
  [`"name": "", "prompt": "${"x".repeat(60)}"`, { name: "x".repeat(50) }],
  ['"skills": ["triage"], "script": "s.sh"', { name: "triage" }],
  ['"skill": "triage", "skills": null', { name: "triage" }],
  ['"script": " s.sh "', { name: "s.sh" }],
  ['"no_agent": true', { kind: "script", script: null }],
  ['"script": "s.sh", "no_agent": false', { kind: "prompt", script: "s.sh" }],
  ['"repeat": null', { repeatTimes: null, repeatCompleted: 0 }],
  ['"repeat": {}', { repeatTimes: null, repeatCompleted: 0 }],
  ['"repeat": {"times": 0, "completed": 2}', { repeatTimes: null, repeatCompleted: 2 }],
  ['"repeat": {"times": -1}', { repeatTimes: null, repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": -5}', { repeatTimes: 3, repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": 2.9}', { repeatTimes: 3, repeatCompleted: 2 }],
  ['"repeat": {"times": 3, "completed": " 2 "}', { repeatCompleted: 2 }],
  ['"repeat": {"times": 3, "completed": "1_0"}', { repeatCompleted: 10 }],
  ['"repeat": {"times": 3, "completed": "٣"}', { repeatCompleted: 3 }],
  ['"repeat": {"times": 3, "completed": "2.0"}', { repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": ""}', { repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": true}', { repeatCompleted: 1 }],
  ['"repeat": {"times": 3, "completed": null}', { repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": []}', { repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": Infinity}', { repeatCompleted: 0 }],
  ['"repeat": {"times": 3, "completed": NaN}', { repeatCompleted: 0 }],
  [
    '"next_run_at": "2026-11-21T09:00:00"',
    { nextRunAt: { text: "2026-11-21T09:00:00", ms: Date.UTC(2026, 10, 21, 9) } },
  ],
  ['"next_run_at": "2026-11-21"', { nextRunAt: { text: "2026-11-21", ms: Date.UTC(2026, 10, 21) } }],
  ['"next_run_at": "tomorrow"', { nextRunAt: null }],
  ['"next_run_at": 1767225600', { nextRunAt: null }],
  ['"next_run_at": ""', { nextRunAt: null }],
  ['"fire_claim": "me"', { fireClaim: null }],
  ['"fire_claim": {}', { fireClaim: { at: null, by: "" } }],
  ['"fire_claim": {"at": 5, "by": null}', { fireClaim: { at: null, by: "" } }],
  ['"pending_slot": {"scheduled_at": "never"}', { pendingSlot: null }],
  [
    '"last_dispatch": {"scheduled_at": "2026-11-21T09:00:00+00:00"}',
    { lastDispatchOf: { text: "2026-11-21T09:00:00+00:00", ms: Date.UTC(2026, 10, 21, 9) } },
  ],
  ['"last_dispatch": {"scheduled_at": 5}', { lastDispatchOf: null }],
  ['"schedule": {"kind": "cron", "expr": "* * * * *"}', { schedule: { kind: "cron", expression: "* * * * *" } }],
  ['"schedule": {"kind": "interval", "minutes": 0.5}', { schedule: { kind: "interval", minutes: 0.5 } }],
  ['"schedule": {"kind": "once", "run_at": "1970-01-01T00:00:01Z"}', { schedule: { kind: "once", runAtMs: 1000 } }],
  [
    '"schedule": {"kind": "cron", "expr": "5 * * * *"}, "quota_hold_until": "q", "quota_hold_cron_expr": "5 * * * *"',
    { parkedAt: "q" },
  ],
  [
    '"schedule": {"kind": "cron", "expr": "5 * * * *"}, "unreachable_retry": {"at": "r", "expr": "5 * * * *"}',
    { parkedAt: "r" },
  ],
  [
    '"schedule": {"kind": "cron", "expr": "5 * * * *"}, "unreachable_retry": {"at": "r", "expr": "6 * * * *"}',
    { parkedAt: null },
  ],
  ['"schedule": {"kind": "once", "run_at": 7}', { schedule: { kind: "once", runAtMs: null } }],
  ['"schedule": {"kind": "cron", "expr": "5 * * * *"}, "schedule_display": " "', { scheduleText: "5 * * * *" }],
];

for (const [fields, job] of readings) {
  test(`readRecord() reads ${fields.slice(0, 70)} as Hermes does`, () => {
    const schedule = fields.includes('"schedule"') ? "" : ', "schedule": {}';
    expect(readRecord(`{"id": "a", ${fields}${schedule}}`, utc)?.job).toMatchObject(job);
  });
}

test("readRecord() takes a one-shot of an unreadable time for faulty, unless something else says when it runs or that it ran", () => {
  const faultOf = (runAt: string, more = "") =>
    readRecord(`{"id": "a", "schedule": {"kind": "once"${runAt}}${more}}`, utc)?.job.fault;
  for (const [runAt, value] of [
    [', "run_at": "nonsense"', '"nonsense"'],
    [', "run_at": null', "null"],
    [', "run_at": 5', "5"],
    [', "run_at": "2026-02-30T00:00:00Z"', '"2026-02-30T00:00:00Z"'],
    [', "run_at": "2026-11-21T25:00:00"', '"2026-11-21T25:00:00"'],
    ["", "missing"],
  ] as const) {
    const fault = `The schedule's run_at is ${value}, expected a time such as 2026-11-21T09:00:00+00:00`;
    expect(faultOf(runAt)).toBe(fault);
    expect(faultOf(runAt, ', "next_run_at": "soon"')).toBe(fault);
    expect(faultOf(runAt, ', "next_run_at": "2026-11-21T09:00:00Z"')).toBe(null);
    expect(faultOf(runAt, ', "last_run_at": "2026-11-21T09:00:00Z"')).toBe(null);
    expect(faultOf(runAt, ', "state": "completed"')).toBe(null);
  }
});

test("readRecord() says that it cannot read a next_run_at, and nothing of one that is good or not there", () => {
  const said = (value: string) => readRecord(`{"id": "a", "next_run_at": ${value}}`, utc)?.job.nextRunFault;
  for (const [value, shown] of [
    ['"soon"', '"soon"'],
    ["5", "5"],
    ["true", "true"],
    ["[]", "a list"],
    ['"-1"', '"-1"'],
  ] as const) {
    expect(said(value)).toBe(`The next_run_at is ${shown}, expected a time such as 2026-11-21T09:00:00+00:00`);
  }
  for (const value of ["null", '""', '"2026-11-21T09:00:00Z"']) expect(said(value)).toBe(undefined);
  expect(readRecord('{"id": "a"}', utc)?.job.nextRunFault).toBe(undefined);
});

const faults: readonly (readonly [record: string, fault: string])[] = [
  ['{"id": "../x"}', 'The id "../x" holds a slash, and it names the job\'s output folder'],
  ['{"id": "a\\\\b"}', 'The id "a\\\\b" holds a slash, and it names the job\'s output folder'],
  ['{"id": "a\\nb"}', 'The id "a\\nb" holds a control character'],
  ['{"id": "a\u0000b"}', 'The id "a\\u0000b" holds a control character'],
  ['{"id": ".."}', 'The id ".." cannot name the job\'s output folder'],
  ['{"id": " "}', 'The id " " cannot name the job\'s output folder'],
  ['{"id": 5}', "The id is 5, expected a text"],
  ['{"id": ["a"]}', "The id is a list, expected a text"],
  [`{"id": "${"é".repeat(150)}"}`, `The id "${"é".repeat(60)}…" is longer than 200 bytes`],
  ['{"id": "a"}', "The schedule is missing, expected an object"],
  ['{"id": "a", "schedule": 5}', "The schedule is 5, expected an object"],
  ['{"id": "a", "schedule": null}', "The schedule is null, expected an object"],
  ['{"id": "a", "schedule": "every 5m"}', 'The schedule is "every 5m", expected an object'],
  ['{"id": "a", "schedule": {}}', 'The schedule\'s kind is missing, expected "cron", "interval" or "once"'],
  [
    '{"id": "a", "schedule": {"kind": "moon"}}',
    'The schedule\'s kind is "moon", expected "cron", "interval" or "once"',
  ],
  ['{"id": "a", "schedule": {"kind": "cron"}}', "The schedule's expr is missing, expected a cron expression"],
  ['{"id": "a", "schedule": {"kind": "cron", "expr": ""}}', 'The schedule\'s expr is "", expected a cron expression'],
  ['{"id": "a", "schedule": {"kind": "interval"}}', "The schedule's minutes is missing, expected a number"],
  [
    '{"id": "a", "schedule": {"kind": "interval", "minutes": "5"}}',
    'The schedule\'s minutes is "5", expected a number',
  ],
  ['{"id": "a", "schedule": {"kind": "interval", "minutes": NaN}}', "The schedule's minutes is NaN, expected a number"],
  ['{"id": "a", "schedule": {"kind": "once"}, "repeat": 1}', "The repeat is 1, expected an object"],
  [
    '{"id": "a", "schedule": {"kind": "once"}, "repeat": {"times": "3"}}',
    'The repeat\'s times is "3", expected a number',
  ],
];

for (const [record, fault] of faults) {
  test(`readRecord() finds a fault in ${JSON.stringify(record.slice(0, 70))}`, () => {
    expect(readRecord(record, utc)?.job.fault).toBe(fault);
  });
}

test("readRecord() takes the id from where older writers put it, and gives nothing without one", () => {
  expect(readRecord('{"job_id": "legacy-1"}', utc)?.job.id).toBe("legacy-1");
  expect(readRecord('{"id": "", "job_id": "legacy-1"}', utc)?.job.id).toBe("legacy-1");
  expect(readRecord('{"name": "n"}', utc)).toBeNull();
  expect(readRecord('{"id": null}', utc)).toBeNull();
});

test("readRecord() sees by their fields which records 0.22 has written", () => {
  const features = (fields: string) => readRecord(`{"id": "a"${fields}}`, utc)?.features;
  expect(features(', "fire_claim": null, "monitor_script": null')).toEqual(noFeatures);
  for (const key of ["failure_streak", "last_failure", "last_delivery_unverified", "last_dispatch", "pending_slot"]) {
    expect(features(`, "${key}": null`)).toEqual(everything);
  }
});

const claim = { at: "2026-01-01T00:00:00+00:00", by: "h:1:f" };

/** A record, what is to be written into it, and the record after that. */
const patches: readonly (readonly [fact: string, before: string, patch: JobPatch, after: string])[] = [
  ["nothing", '{"id":"a" ,"x" : 1}', {}, '{"id":"a" ,"x" : 1}'],
  [
    "only the changed values, whatever stands around them",
    '{"10": 1, "id":"a",\t"last_status" :  "ok" , "2": 2.0, "n": 123456789012345678901234567890, "f": [1e400, NaN, -0.0]}',
    { lastStatus: "error" },
    '{"10": 1, "id":"a",\t"last_status" :  "error" , "2": 2.0, "n": 123456789012345678901234567890, "f": [1e400, NaN, -0.0]}',
  ],
  [
    "no value that is there already in another spelling",
    '{"id": "a", "last_error": "\\u00e9\\/", "enabled": true, "next_run_at": null}',
    { lastError: "é/", enabled: true, nextRunAt: null },
    '{"id": "a", "last_error": "\\u00e9\\/", "enabled": true, "next_run_at": null}',
  ],
  [
    "the last of a repeated key, which is the one that counts",
    '{"id": "a", "state": "x", "state": "y"}',
    { state: "z" },
    '{"id": "a", "state": "x", "state": "z"}',
  ],
  [
    "new keys behind the others, in the order and the form of Hermes",
    '{\n      "id": "a",\n      "repeat": {\n        "times": 2,\n        "completed": 0\n      }\n    }',
    {
      fireClaim: claim,
      runClaim: claim,
      lastRunAt: "t",
      lastError: null,
      nextRunAt: null,
      enabled: false,
      repeatCompleted: 1,
    },
    '{\n      "id": "a",\n      "repeat": {\n        "times": 2,\n        "completed": 1\n      },\n' +
      '      "last_run_at": "t",\n      "last_error": null,\n' +
      '      "run_claim": {\n        "at": "2026-01-01T00:00:00+00:00",\n        "by": "h:1:f"\n      },\n' +
      '      "fire_claim": {\n        "at": "2026-01-01T00:00:00+00:00",\n        "by": "h:1:f"\n      },\n' +
      '      "enabled": false,\n      "next_run_at": null\n    }',
  ],
  [
    "new keys in the indentation that it finds",
    '{\n\t"id": "a"\n}',
    { fireClaim: claim },
    '{\n\t"id": "a",\n\t"fire_claim": {\n\t\t"at": "2026-01-01T00:00:00+00:00",\n\t\t"by": "h:1:f"\n\t}\n}',
  ],
  [
    "new keys on one line into a record of one line",
    '{"id":"a","x":1}',
    { fireClaim: claim },
    '{"id":"a","x":1,"fire_claim":{"at":"2026-01-01T00:00:00+00:00","by":"h:1:f"}}',
  ],
  ["a run claim that is over only where there is one", '{"id": "a"}', { runClaim: null }, '{"id": "a"}'],
  [
    "null for a run claim that is over",
    '{"run_claim": {"at": 1}, "id": "a"}',
    { runClaim: null },
    '{"run_claim": null, "id": "a"}',
  ],
  ["null for a fire claim that is over", '{"id": "a"}', { fireClaim: null }, '{"id": "a", "fire_claim": null}'],
  [
    "no dropped key: first, middle, last and repeated",
    '{"manual_run_at": 1, "id": "a", "manual_run_prompt": 2, "x": 3, "pending_slot": 4, "manual_run_at": 5}',
    { manualRunAt: "drop", manualRunPrompt: "drop", pendingSlot: "drop" },
    '{"id": "a", "x": 3}',
  ],
  [
    "a count into a repeat without one",
    '{"id": "a", "repeat": {"times": 2}}',
    { repeatCompleted: 1 },
    '{"id": "a", "repeat": {"times": 2, "completed": 1}}',
  ],
  [
    "no count where Hermes counts nothing",
    '{"id": "a", "repeat": {}}',
    { repeatCompleted: 1 },
    '{"id": "a", "repeat": {}}',
  ],
  ["no count into no repeat", '{"id": "a", "repeat": null}', { repeatCompleted: 1 }, '{"id": "a", "repeat": null}'],
  [
    "the same repeat if the count is the same",
    '{"id": "a", "repeat": {"times": 2, "completed": 1.0}}',
    { repeatCompleted: 1 },
    '{"id": "a", "repeat": {"times": 2, "completed": 1.0}}',
  ],
  [
    "the lateness as a float",
    '{"id": "a", "last_dispatch": null}',
    { lastDispatch: { scheduledAt: "s", dispatchedAt: "d", latenessSeconds: 5, kind: "late" } },
    '{"id": "a", "last_dispatch": {"scheduled_at": "s", "dispatched_at": "d", "lateness_seconds": 5.0, "kind": "late"}}',
  ],
  [
    "the lateness with one digit",
    '{"id": "a", "last_dispatch": null}',
    { lastDispatch: { scheduledAt: "s", dispatchedAt: "d", latenessSeconds: 30.2499, kind: "on_time" } },
    '{"id": "a", "last_dispatch": {"scheduled_at": "s", "dispatched_at": "d", "lateness_seconds": 30.2, "kind": "on_time"}}',
  ],
  [
    "the id under its own name where an older writer called it job_id",
    '{"job_id": "legacy-1", "x": 1}',
    { state: "s" },
    '{"x": 1, "id": "legacy-1", "state": "s"}',
  ],
  ["the id into its place", '{"id": "", "job_id": "b"}', { state: "s" }, '{"id": "b", "state": "s"}'],
];

for (const [fact, before, patch, after] of patches) {
  test(`patchRecord() writes ${fact}`, () => {
    expect(patchRecord(before, patch, noFeatures, false)).toBe(after);
  });
}

test("patchRecord() writes the fields of 0.22 where the record or its store knows them, and nowhere else", () => {
  const patch: JobPatch = {
    failureStreak: 1,
    lastFailure: { at: "t", detail: null },
    lastDispatch: { scheduledAt: "s", dispatchedAt: "d", latenessSeconds: 0, kind: "on_time" },
  };
  expect(patchRecord('{"id": "a"}', patch, noFeatures, false)).toBe('{"id": "a"}');
  expect(patchRecord('{"id": "a", "failure_streak": 0}', patch, noFeatures, false)).toBe(
    '{"id": "a", "failure_streak": 1}',
  );
  expect(patchRecord('{"id": "a"}', patch, everything, false)).toBe(
    '{"id": "a", "failure_streak": 1, "last_failure": {"at": "t", "detail": null}, ' +
      '"last_dispatch": {"scheduled_at": "s", "dispatched_at": "d", "lateness_seconds": 0.0, "kind": "on_time"}}',
  );
});

test("patchRecord() escapes what is not ASCII in a store whose writer does", () => {
  expect(patchRecord('{"id": "a"}', { lastError: "é☕" }, noFeatures, true)).toBe(
    '{"id": "a", "last_error": "\\u00e9\\u2615"}',
  );
  expect(patchRecord('{"id": "a"}', { lastError: "é☕" }, noFeatures, false)).toBe('{"id": "a", "last_error": "é☕"}');
  expect([isEscapedText('"\\u00e9"'), isEscapedText('"\\u000a"'), isEscapedText('"é\\u00e9"')]).toEqual([
    true,
    false,
    false,
  ]);
});

test("patchRecord() writes no half surrogate pair, because it would make every later save of Hermes fail", () => {
  expect(patchRecord('{"id": "a"}', { lastError: "x\ud83d" }, noFeatures, false)).toBe(
    '{"id": "a", "last_error": "x\ufffd"}',
  );
});

const corrupt: readonly (readonly [fact: string, bytes: string | Uint8Array, problem: string])[] = [
  ["an empty file", "", "line 1, column 1: there is no text"],
  ["a file cut short", '{\n  "jobs": [', "line 2, column 12: the text ends where a value should stand"],
  ["a wrong top level", ' "jobs"', 'line 1, column 2: the document is "jobs", expected an object with a list "jobs"'],
  ["null", "null", 'line 1, column 1: the document is null, expected an object with a list "jobs"'],
  ["a byte order mark twice", "\ufeff\ufeff{}", "line 1, column 1: there is no value here"],
  ["NUL bytes behind the text", "{}\n\u0000", "line 2, column 1: there is more text after the end of the document"],
  ["Latin-1", Buffer.from('{\n"é": "\u{1f600}é"}', "latin1"), "line 2, column 2: this is not UTF-8 text"],
  ["half a character at the end", Buffer.from('{"a": "é').subarray(0, 8), "line 1, column 8: this is not UTF-8 text"],
  [
    "bytes of a program",
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 0, 0xff]),
    "line 1, column 8: this is not UTF-8 text",
  ],
];

for (const [fact, bytes, problem] of corrupt) {
  test(`parseJobsFile() refuses ${fact} with the place`, () => {
    const error = refusalOf(Buffer.from(bytes));
    expect(error.message).toBe(
      `Cannot read jobs "/h/cron/jobs.json": ${problem}, mend the file or put a good copy in its place`,
    );
    expect(error.path).toBe("/h/cron/jobs.json");
  });
}

test("parseJobsFile() refuses a file beyond its bound without reading it", () => {
  const error = refusalOf(new Uint8Array(jobsFileBytesMax + 1));
  expect(error.message).toBe(
    'Cannot read jobs "/h/cron/jobs.json": it has 33554433 bytes, expected at most 33554432, mend the file or put a good copy in its place',
  );
  expect([error.line, error.column]).toEqual([null, null]);
});

test("parseJobsFile() throws nothing but CorruptStoreError, at whatever byte a store is cut off", () => {
  const [whole] = homes().filter(([path]) => path.includes("0.22") && path.includes("crashed-1"));
  const bytes = whole?.[1] ?? Buffer.alloc(0);
  let refused = 0;
  for (let length = 0; length < bytes.length; length += 1) {
    expect(refusalOf(bytes.subarray(0, length))).toBeInstanceOf(CorruptStoreError);
    refused += 1;
  }
  expect(refused).toBeGreaterThan(4000);
});

test("parseJobsFile() says which entries are no records", () => {
  expect(parse('{"jobs": [{"id": "a"}, null, 7, [], "x"]}').strays).toEqual([
    'Entry 2 of "jobs" is null, expected an object',
    'Entry 3 of "jobs" is 7, expected an object',
    'Entry 4 of "jobs" is a list, expected an object',
    'Entry 5 of "jobs" is "x", expected an object',
  ]);
  expect(parse('{"jobs": {"k": 5, "l": {}}}').strays).toEqual(['Entry "k" of "jobs" is 5, expected an object']);
  expect(parse('{"jobs": null}').strays).toEqual(['"jobs" is null, expected a list']);
});

test("parseJobsFile() gives back the file it is compared with if nothing has changed", () => {
  const file = parse('[{"id": "a"}]');
  expect(parseJobsFile(Buffer.from('[{"id": "a"}]'), "", file)).toBe(file);
  expect(parseJobsFile(Buffer.from('[{"id": "b"}]'), "", file)).not.toBe(file);
});

for (const [path, bytes] of homes()) {
  test(`editJobsFile() gives ${path} back byte for byte, but for what is changed`, () => {
    const file = parseJobsFile(bytes, path, null);
    const { updated_at: updatedAt, jobs }: { readonly updated_at: string; readonly jobs: readonly unknown[] } =
      JSON.parse(bytes.toString());
    expect(file.records.length).toBe(jobs.length);
    const same = editJobsFile(file, new Map(), updatedAt);
    expect(Buffer.from(same.text).equals(bytes)).toBe(true);
    const there = editJobsFile(file, new Map(jobs.map((_, index) => [index, "0123456789"])), "");
    const back = editJobsFile(there, new Map(recordTexts(file).entries()), updatedAt);
    expect(Buffer.from(back.text).equals(bytes)).toBe(true);
    expect(recordTexts(back)).toEqual(recordTexts(file));
  });
}

const shapes: readonly (readonly [fact: string, before: string, after: string])[] = [
  ["a bare list", '[{"id": "a", "x": 2.0}]', '{\n  "jobs": [NEW],\n  "updated_at": "now"\n}'],
  [
    "jobs keyed by id, and drops what is no record there",
    '{"v": 1.0, "jobs": {"k1": {"name": "n"}, "k2": {"id": "own"}, "k3": 5, "k1": {"id": "", "x": 2.0}}, "updated_at": 5}',
    '{"v": 1.0, "jobs": [\n    NEW,\n    {"id": "own"}\n  ], "updated_at": "now"}',
  ],
  [
    "a time before the jobs",
    '{"updated_at": 7, "jobs": [ {"id": "a"} ]}\n',
    '{"updated_at": "now", "jobs": [ NEW ]}\n',
  ],
  ["no time", '{"jobs": [{"id": "a"}]}', '{"jobs": [NEW], "updated_at": "now"}'],
  ["no time, on lines", '{\n "jobs": [{"id": "a"}]\n}', '{\n "jobs": [NEW],\n "updated_at": "now"\n}'],
  ["a byte order mark", '\ufeff{"jobs":[{"id":"a"}],"updated_at":1}', '\ufeff{"jobs":[NEW],"updated_at":"now"}'],
  [
    "entries that are no records",
    '{"jobs": [null, {"id": "a"}, 7], "updated_at": 1}',
    '{"jobs": [null, NEW, 7], "updated_at": "now"}',
  ],
  [
    "jobs twice",
    '{"jobs": [{"id": "x"}], "jobs": [{"id": "a"}], "updated_at": 1}',
    '{"jobs": [{"id": "x"}], "jobs": [NEW], "updated_at": "now"}',
  ],
];

for (const [fact, before, after] of shapes) {
  test(`editJobsFile() writes ${fact}`, () => {
    const edited = editJobsFile(parse(before), new Map([[0, "NEW"]]), "now");
    expect(edited.text).toBe(after);
    expect(recordTexts(edited)[0]).toBe("NEW");
    expect(editJobsFile(edited, new Map(), "later").text).toBe(after.replace("now", "later"));
  });
}

test("parseJobsFile() gives a record that is keyed by id that id, unless it has its own", () => {
  expect(
    recordTexts(parse('{"jobs": {"k1": {"name": "n"}, "k2": {"id": "own"}, "k3": {}, "k1": {"id": "", "x": 2.0}}}')),
  ).toEqual(['{"id": "k1", "x": 2.0}', '{"id": "own"}', '{"id": "k3"}']);
});

function parse(text: string): JobsFile {
  return parseJobsFile(Buffer.from(text), "/h/cron/jobs.json", null);
}

function recordTexts(file: JobsFile): readonly string[] {
  return file.records.map((span) => file.text.slice(span.start, span.end));
}

function refusalOf(bytes: Uint8Array): CorruptStoreError {
  try {
    parseJobsFile(bytes, "/h/cron/jobs.json", null);
  } catch (error) {
    if (error instanceof CorruptStoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Every store of a home that a real Hermes has left. */
function homes(): readonly (readonly [path: string, bytes: Buffer])[] {
  const root = fileURLToPath(new URL("../fixtures/vectors", import.meta.url));
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.includes("homes") && path.endsWith("jobs.json"))
    .sort()
    .map((path) => [path, readFileSync(join(root, path))] as const);
}
