import { expect, test } from "vitest";
import { createHeartbeats } from "../../src/daemon/heartbeats.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import type { System } from "../../src/system/system.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";

test("beat() tells Hermes each minute who ticks a home that no gateway serves, where that Hermes believes it", () => {
  const clock = createFakeClock(1_699_999_997_500);
  const files = createFakeFiles(clock.nowMs);
  let tokens = 0;
  const system = {
    clock,
    files,
    locks: { holderPid: () => null },
    processes: { ownPid: 42, fingerprint: (pid: number) => (pid === 7 ? { pid } : null) },
    random: { token: () => String(++tokens) },
  } as unknown as System;
  const homes = new Map<string, HomeRuntime>();
  const add = (name: string, believes: boolean, kind = "active"): void => {
    files.makeFolder(`/${name}/cron`, 0o700, true);
    const settings = { hermes: { features: believes ? { heartbeat_writer: true } : {} } };
    const home = { name, path: `/${name}`, cronFolder: `/${name}/cron`, state: { kind }, settings };
    homes.set(name, home as unknown as HomeRuntime);
  };
  add("default", true);
  add("older", false);
  add("degraded", true, "degraded");
  add("gone", true);
  files.removeFolder("/gone");
  add("served", true);
  files.create("/served/gateway.pid", '{"pid": 7}', 0o600);
  const parts = { system, draining: false };
  const heartbeats = createHeartbeats(parts, () => homes);
  const written = (): unknown =>
    ["default", "older", "degraded", "served"].map((name) =>
      files.list(`/${name}/cron`).map((file) => `${file}: ${files.readText(`/${name}/cron/${file}`)}`),
    );

  // Until all is ready that a daemon needs to tick once, no time counts.
  clock.pass(2000);
  heartbeats.beat();
  expect(written()).toEqual([[], [], [], []]);
  clock.pass(1000);
  heartbeats.beat();
  const first = [["ticker_heartbeat: 1700000000.500 42", "ticker_last_success: 1700000000.500"], [], [], []];
  expect(written()).toEqual(first);
  expect(files.stat("/gone")).toBeNull();
  clock.pass(30_000);
  heartbeats.beat();
  expect(written()).toEqual(first);
  clock.pass(30_000);
  heartbeats.beat();
  const second = [["ticker_heartbeat: 1700000060.500 42", "ticker_last_success: 1700000060.500"], [], [], []];
  expect(written()).toEqual(second);
  parts.draining = true;
  clock.pass(60_000);
  heartbeats.beat();
  expect(written()).toEqual(second);
});
