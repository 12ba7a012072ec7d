import { expect, test } from "vitest";
import { findJob } from "../../src/cli/find-job.ts";

const jobs = [
  { home: "default", id: "aaaa11112222", name: "nightly" },
  { home: "default", id: "aaaa33334444", name: "backup" },
  { home: "default", id: "bbbb00000000", name: "aaaa" },
  { home: "default", id: "cccc00000000", name: "work/odd name" },
  { home: "work", id: "dddd00000000", name: "nightly" },
  { home: "work", id: "eeee00000000", name: "Über 🚀" },
  { home: "work", id: "bbbb00000000", name: "same id" },
];

test("findJob() finds by id, beginning of an id, name, and each behind a profile", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["aaaa11112222", "default/aaaa11112222"],
    ["aaaa1", "default/aaaa11112222"],
    ["d", "work/dddd00000000"],
    ["backup", "default/aaaa33334444"],
    ["Über 🚀", "work/eeee00000000"],
    ["work/nightly", "work/dddd00000000"],
    ["default/nightly", "default/aaaa11112222"],
    ["work/dddd", "work/dddd00000000"],
    ["work/bbbb00000000", "work/bbbb00000000"],
    ["default/b", "default/bbbb00000000"],
    // A name that fits whole comes before ids that only begin so.
    ["aaaa", "default/bbbb00000000"],
    ["work/odd name", "default/cccc00000000"],
  ];
  for (const [text, expected] of cases) {
    const found = findJob(jobs, text);
    expect(`${found.home}/${found.id}`, text).toBe(expected);
  }
});

test("findJob() lists what fits when it is not one job", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["nightly", ["default/aaaa11112222 (nightly)", "work/dddd00000000 (nightly)"]],
    ["bbbb00000000", ["default/bbbb00000000 (aaaa)", "work/bbbb00000000 (same id)"]],
    ["default/aaaa1", []],
    ["aa", ["default/aaaa11112222 (nightly)", "default/aaaa33334444 (backup)"]],
  ];
  for (const [text, matches] of cases) {
    if (matches.length === 0) {
      expect(findJob(jobs, text).id).toBe("aaaa11112222");
      continue;
    }
    expect(() => findJob(jobs, text)).toThrow(
      expect.objectContaining({
        exitCode: 4,
        code: "ambiguous",
        message: `Cannot tell which job is "${text}": ${matches.length} fit\n  ${matches.join("\n  ")}`,
      }),
    );
  }
});

test("findJob() refuses what fits nothing", () => {
  for (const text of ["", "zzz", "nowhere/nightly", "work/", "/nightly", "aaaa111122223", "night"]) {
    expect(() => findJob(jobs, text), text).toThrow(
      expect.objectContaining({
        exitCode: 4,
        code: "not_found",
        message: `Cannot find job "${text}": see hermes-supervisor jobs`,
      }),
    );
  }
});

test("findJob() shows no control characters of names or of what was asked", () => {
  const evil = [
    { home: "default", id: "a1", name: "\x1b[2Jx" },
    { home: "default", id: "a2", name: "y\u202e" },
  ];
  expect(() => findJob(evil, "a")).toThrow(
    'Cannot tell which job is "a": 2 fit\n  default/a1 (\\x1b[2Jx)\n  default/a2 (y\\u202e)',
  );
  expect(() => findJob(evil, "\x07")).toThrow('Cannot find job "\\x07"');
});
