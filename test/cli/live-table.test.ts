import { expect, onTestFinished, test } from "vitest";
import type { CommandParts } from "../../src/cli/command-parts.ts";
import { startLiveTable } from "../../src/cli/live-table.ts";
import { textWidth } from "../../src/cli/print.ts";
import { createReader } from "../../src/cli/reader.ts";
import { createLocks } from "../../src/system/flock.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { createCliHome, nowMs, record } from "./cli-home.ts";

test.for([20, 40, 80])("the live table is painted over itself on %i columns, line by line", (columns) => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.jobs([record("aaaa11112222", "nightly"), record("bbbb11112222", "a rather long name")]);
  const clock = createFakeClock(nowMs);
  let out = "";
  const parts = {
    system: { clock, files: createFiles(), locks: createLocks(), random: createRandom() },
    terminal: {
      out: (text: string) => {
        out += text;
      },
      isTerminal: true,
      hasColour: true,
      columns,
      rows: 60,
    },
    environment: { HOME: home.root },
    version: "9.9.9",
    rootHome: home.root,
    stateFolder: home.state,
    onInterrupt: () => {},
    onEnd: () => {},
  } as unknown as CommandParts;
  const table = startLiveTable(parts, createReader(parts));
  const first = out.split("\x1b[J").at(-1) ?? "";
  out = "";
  clock.fireNext();
  table.stop();
  const lines = first.replace(/\x1b\[\d+m/gu, "").split("\n");
  expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(columns);
  expect(/^\x1b\[(\d+)A\r\x1b\[J/u.exec(out)?.[1]).toBe(String(lines.length - 1));
});
