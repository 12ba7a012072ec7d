import { expect, onTestFinished, test } from "vitest";
import type { CommandParts } from "../../src/cli/command-parts.ts";
import { createEventLines, endingText } from "../../src/cli/event-lines.ts";
import type { Reader } from "../../src/cli/reader.ts";
import { createZone } from "../../src/core/zone.ts";
import { claimedRun, completed, createCliHome, nowMs, slot } from "./cli-home.ts";

test("createEventLines() says once what begins, ends and is passed over", () => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  let out = "";
  const say = (text: string | Uint8Array): void => {
    out += String(text);
  };
  const terminal = { out: say, error: say, hasColour: false, columns: null, rows: null };
  const parts = { terminal, system: { clock: { nowMs: () => nowMs } } } as unknown as CommandParts;
  home.ledger((ledger) => {
    const reader = {
      ledger: () => ledger,
      zone: () => createZone("UTC", 0),
      homes: () => [{ name: "work", jobs: [{ id: "b", name: "back\x1bup" }] }],
    } as unknown as Reader;
    const view = createEventLines(parts, reader);
    const told = (): string => {
      out = "";
      view.show();
      return out;
    };
    const later = { scheduledAtMs: nowMs, claimedAtMs: nowMs };
    ledger.claim([claimedRun("before", "a", "earlier")]);
    expect(told()).toBe("");
    ledger.claim([claimedRun("r1", "a", "nightly", later)]);
    expect(told()).toBe("12:00:00  nightly started\n");
    ledger.start("r1", nowMs + 1);
    expect(told()).toBe("");
    ledger.writeSlots("work", [
      slot("b", { decision: "skip", reason: "overlap" }, { scheduledAtMs: nowMs, decidedAtMs: nowMs + 1000 }),
    ]);
    expect(told()).toBe("12:00:01  work/back\\x1bup skipped: overlap\n");
    ledger.close("r1", completed({ endedAtMs: nowMs + 2001 }));
    ledger.claim([claimedRun("r2", "a", "nightly", later)]);
    ledger.close("r2", completed({ state: "failed", reason: "exit", error: "no \x1bspace", endedAtMs: nowMs + 3000 }));
    expect(told()).toBe(
      "12:00:02  nightly completed after 2.0 s\n12:00:00  nightly started\n12:00:03  nightly failed: no \\x1bspace\n",
    );
    expect(told()).toBe("");
    view.interrupted();
    expect(out).toBe("12:00:00  Ending: waiting for what still runs; Ctrl-C again stops it\n");
  });
});

test("endingText() says what the next interrupt does", () => {
  expect([0, 1, 2, 3].map(endingText)).toEqual([
    "Ctrl-C ends it",
    "Ending: waiting for what still runs; Ctrl-C again stops it",
    "Ending: stopping what still runs",
    "Ending: stopping what still runs",
  ]);
});
