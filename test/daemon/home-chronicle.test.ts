import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { stretchWithoutDaemon, zoneNote } from "../../src/core/home-history.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import { createHomeChronicle, type HomeChronicle } from "../../src/daemon/home-chronicle.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";

interface Kept {
  readonly clock: FakeClock;
  readonly ledger: RunLedger;
  readonly chronicle: () => HomeChronicle;
  readonly home: HomeRuntime;
  readonly now: { hold: string | null; holder: number | null };
}

function keep(): Kept {
  const folder = mkdtempSync(join(tmpdir(), "chronicle-"));
  const ledger = createRunLedger({ files: createFiles() }, join(folder, "supervisor.db"));
  onTestFinished(() => {
    ledger.dispose();
    rmSync(folder, { recursive: true });
  });
  const clock = createFakeClock(0);
  const now: Kept["now"] = { hold: null, holder: null };
  const parts = {
    ledger,
    system: {
      clock,
      files: { readText: () => "python3\n" },
      locks: { holderPid: () => now.holder },
      processes: { ownPid: 7 },
      log: { error: () => {} },
    },
  } as unknown as DaemonParts;
  const home = {
    name: "default",
    cronFolder: "/home/cron",
    state: { kind: "active" },
    settings: { error: null },
    lockBusy: null,
    hold: () => now.hold,
    diskShortage: () => null,
  } as unknown as HomeRuntime;
  return { clock, ledger, chronicle: () => createHomeChronicle(parts), home, now };
}

const forever = Number.MAX_SAFE_INTEGER / 1000;

test("while a configuration cannot be read the zone that is in force is noted for whoever reads without it", () => {
  const { ledger, chronicle, home } = keep();
  const kept = chronicle();
  kept.begin();
  const settings = home.settings as { error: string | null; zone: { name: string } };
  settings.zone = { name: "Europe/Berlin" };
  kept.look(home);
  expect(ledger.note(zoneNote("default"))).toBe(null);
  settings.error = "missing quote";
  kept.look(home);
  expect(ledger.note(zoneNote("default"))).toBe("Europe/Berlin");
  settings.error = null;
  kept.look(home);
  expect(ledger.note(zoneNote("default"))).toBe(null);
});

test("a spell lasts from the look that finds it to the look that does not", () => {
  const { clock, ledger, chronicle, home, now } = keep();
  const kept = chronicle();
  kept.begin();
  kept.look(home);
  now.hold = "estop";
  clock.pass(1000);
  kept.look(home);
  clock.pass(1000);
  kept.look(home);
  now.hold = null;
  clock.pass(1000);
  kept.look(home);
  expect(ledger.spells("default", 0, forever)).toEqual([
    { home: "default", kind: "estop", detail: null, beganMs: 1000, endedMs: 3000 },
  ]);
  expect(ledger.spells("default", 0, 500)).toEqual([]);
  expect(ledger.spells("other", 0, forever)).toEqual([]);
});

test("a spell that goes on over a restart is one, and what is over by then ended with the daemon that saw it last", () => {
  const { clock, ledger, chronicle, home, now } = keep();
  now.hold = "parked";
  const first = chronicle();
  first.begin();
  first.look(home);
  clock.pass(5000);
  const second = chronicle();
  second.begin();
  second.look(home);
  expect(ledger.spells("default", 0, forever)).toMatchObject([{ kind: "parked", beganMs: 0, endedMs: null }]);
  now.hold = null;
  clock.pass(5000);
  const third = chronicle();
  third.begin();
  third.look(home);
  expect(ledger.spells("default", 0, forever)).toMatchObject([{ kind: "parked", beganMs: 0, endedMs: 5000 }]);
  now.hold = "estop";
  third.look(home);
  now.hold = null;
  clock.pass(1000);
  third.look(home);
  expect(ledger.spells("default", 0, forever)[0]).toMatchObject({ kind: "estop", beganMs: 10_000, endedMs: 11_000 });
});

test("a tick lock counts once it is held for a second, by whoever holds it then", () => {
  const { clock, ledger, chronicle, home, now } = keep();
  const kept = chronicle();
  kept.begin();
  clock.pass(100);
  const sinceMonotonicMs = clock.monotonicMs();
  home.lockBusy = {
    sinceMonotonicMs,
    sinceMs: 100,
    notedAtMonotonicMs: sinceMonotonicMs,
    holderPid: null,
    said: false,
  };
  kept.look(home);
  expect(ledger.spells("default", 0, forever)).toEqual([]);
  clock.pass(1000);
  now.holder = 4242;
  kept.look(home);
  now.holder = 4243;
  kept.look(home);
  expect(ledger.spells("default", 0, forever)).toEqual([
    { home: "default", kind: "lock", detail: "process 4242 (python3)", beganMs: 100, endedMs: null },
  ]);
});

test("lives tell when no daemon was there, also after one was killed", () => {
  const { clock, ledger, chronicle } = keep();
  const first = chronicle();
  first.begin();
  clock.pass(59_000);
  first.beat();
  clock.pass(1000);
  first.beat();
  // Killed a little later.
  clock.pass(240_000);
  const second = chronicle();
  second.begin();
  clock.pass(10_000);
  second.end();
  const lives = ledger.lives(0);
  expect(lives).toEqual([
    { pid: 7, beganMs: 300_000, seenMs: 310_000, endedMs: 310_000 },
    { pid: 7, beganMs: 0, seenMs: 60_000, endedMs: null },
  ]);
  const gap = (atMs: number, isAlive: boolean): unknown => {
    const found = stretchWithoutDaemon(lives, atMs, isAlive);
    return found === null ? null : [found.fromMs, found.untilMs];
  };
  expect([-1, 30_000, 200_000, 305_000, 400_000].map((atMs) => gap(atMs, false))).toEqual([
    [null, 0],
    null,
    [60_000, 300_000],
    null,
    [310_000, null],
  ]);
  expect(stretchWithoutDaemon([], 5, false)).toEqual({ last: null, fromMs: null, untilMs: null });
  expect(stretchWithoutDaemon([], 5, true)).toBeNull();
});

test("a clock that ran on by itself is a spell of every home", () => {
  const { clock, ledger, chronicle } = keep();
  const kept = chronicle();
  kept.begin();
  clock.pass(600_000);
  kept.jumped(400_000);
  kept.jumped(-400_000);
  kept.jumped(2000);
  expect(ledger.spells("any", 0, forever)).toEqual([
    { home: "", kind: "asleep", detail: null, beganMs: 200_000, endedMs: 600_000 },
  ]);
});

test("a slot keeps what it waited for", () => {
  const { ledger } = keep();
  const line = { jobId: "a", scheduledAtMs: 1, runId: null, decidedAtMs: 2, latenessMs: null };
  ledger.writeSlots("default", [{ ...line, decision: "pending", reason: "capacity" }]);
  expect(ledger.slots({ limit: 0 })[0]).not.toHaveProperty("waitedFor");
  ledger.writeSlots("default", [{ ...line, decision: "run", reason: "late", runId: "r1" }]);
  ledger.writeSlots("default", [{ ...line, decision: "run", reason: "late", runId: "r2" }]);
  expect(ledger.slots({ limit: 0 })).toMatchObject([{ decision: "run", runId: "r2", waitedFor: "capacity" }]);
});
