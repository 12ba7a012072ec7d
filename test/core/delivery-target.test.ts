import { expect, test } from "vitest";
import { deliveryTarget } from "../../src/core/delivery-target.ts";

const origin = { platform: "telegram", chat_id: 5, chat_name: "ada" };

const table: readonly [unknown, string | null, string | null][] = [
  // The record, where a success goes, where a failure goes.
  [{}, null, null],
  [null, null, null],
  [[], null, null],
  [{ deliver: null }, null, null],
  [{ deliver: "" }, null, null],
  [{ deliver: [] }, null, null],
  [{ deliver: ["  "] }, null, null],
  [{ deliver: "local", origin }, null, null],
  [{ deliver: ["local"] }, null, null],
  [{ deliver: "telegram" }, "telegram", "telegram"],
  [{ deliver: "foo:1" }, "foo:1", "foo:1"],
  [{ deliver: [" telegram:123 ", "", 7] }, "telegram:123,7", "telegram:123,7"],
  [{ deliver: "origin", origin }, "telegram:5", "telegram:5"],
  [{ deliver: "origin" }, null, null],
  [{ deliver: "origin", origin: "a-string-from-somewhere" }, null, null],
  [{ deliver: "origin", origin: { platform: "telegram" } }, null, null],
  [{ deliver: "origin", origin: { platform: "API_Server", chat_id: 1 } }, null, null],
  [{ deliver: "slack:1", failure_deliver: "local" }, "slack:1", null],
  [{ deliver: "local", failure_deliver: "slack:1" }, null, "slack:1"],
  [{ deliver: "slack:1", failure_deliver: " " }, "slack:1", "slack:1"],
  [{ deliver: "slack:1", failure_deliver: null }, "slack:1", "slack:1"],
  [{ deliver: "local", failure_deliver: "origin", origin }, null, "telegram:5"],
];

test("deliveryTarget() names where Hermes would send a result", () => {
  for (const [record, success, failure] of table) {
    expect([record, deliveryTarget(record, false, false), deliveryTarget(record, true, false)]).toEqual([
      record,
      success,
      failure,
    ]);
  }
});

test("deliveryTarget() lets Hermes look for a home channel where one is known and the job has no origin", () => {
  expect(deliveryTarget({ deliver: "origin" }, false, true)).toBe("origin");
  expect(deliveryTarget({ deliver: "origin", origin }, false, true)).toBe("telegram:5");
  expect(deliveryTarget({ deliver: "local" }, false, true)).toBe(null);
});
