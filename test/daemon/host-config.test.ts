import { expect, test } from "vitest";
import { createHostConfig } from "../../src/daemon/host-config.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";

test("the host's settings say in the log what in them cannot be met, at the start and once after each edit", () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 5));
  const files = createFakeFiles(clock.nowMs);
  files.makeFolder("/state", 0o700, false);
  const warned: string[] = [];
  const log = { info: () => {}, error: () => {}, warn: (message: string) => warned.push(message) };
  const write = (content: string): void => {
    files.plant("/state/config.yaml", content);
    clock.pass(60_000);
  };
  write("limits: { tags: { db: 20 } }\n");
  const system = { clock, files, log } as unknown as Parameters<typeof createHostConfig>[0];
  const host = createHostConfig(system, "/state/config.yaml", [], {});
  const first =
    "limits.tags.db (/state/config.yaml:1): 20 is more than limits.max_open_runs of the host (16, default); 16 applies";
  expect(warned).toEqual([first]);
  write("limits: { tags: { db: 20 } }\nstop: { grace: 5 s }\n");
  host.reload();
  expect(warned).toEqual([first]);
  write("limits: { tags: { db: 20 }, max_open_runs: 2 }\n");
  host.reload();
  expect(warned.slice(1)).toEqual([
    "limits.tags.db (/state/config.yaml:1): 20 is more than limits.max_open_runs of the host (2, /state/config.yaml:1); 2 applies",
  ]);
  write("limits: { tags: { db: 20 }, max_open_runs: nonsense }\n");
  host.reload();
  expect(warned.length).toBe(2);
});
