import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const source = (name: string): string => new URL(`../../src/system/${name}.ts`, import.meta.url).href;

/** What a process of its own, `nice`r by so much, says of itself and of a child before and after it asked. */
function ask(nice: number): unknown {
  const script = `
    import { spawnSync } from "node:child_process";
    import { kernelCalls } from ${JSON.stringify(source("kernel-calls"))};
    import { askForShortSlices } from ${JSON.stringify(source("time-slice"))};
    const own = () => {
      const attributes = kernelCalls().schedulingAttributes();
      return { policy: attributes.readUInt32LE(4), nice: attributes.readInt32LE(16), isReset: attributes.readBigUInt64LE(8) === 1n };
    };
    const child = () => spawnSync("python3", ["-c", "import os; print(os.sched_getscheduler(0), os.nice(0))"]).stdout.toString().trim();
    const before = [own(), child()];
    const isTaken = askForShortSlices();
    console.log(JSON.stringify({ isTaken, before, after: [own(), child()] }));
  `;
  const ended = spawnSync(
    "nice",
    ["-n", String(nice), process.execPath, "--input-type=module-typescript", "-e", script],
    { encoding: "utf8" },
  );
  expect(ended.stderr).toBe("");
  return JSON.parse(ended.stdout);
}

test.for([0, 5])(
  "askForShortSlices() is for the caller alone and leaves its niceness of %i to it and its children",
  (nice) => {
    const usual = [{ policy: 0, nice, isReset: false }, `0 ${nice}`];
    const after = [{ policy: 0, nice, isReset: true }, `0 ${nice}`];
    expect(ask(nice)).toEqual({ isTaken: true, before: usual, after });
  },
);
