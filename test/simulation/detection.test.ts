import { expect, test } from "vitest";
import { drawScenario } from "./draw-scenario.ts";
import type { Flaw } from "./flaws.ts";
import { scenes } from "./scenes.ts";
import { simulate } from "./simulate.ts";

// A simulation that finds nothing proves something only where it finds what is wrong.

/** Whether a host with this flaw breaks the law within so many seeds. */
async function isNoticed(flaw: Flaw, law: string, seeds: number): Promise<boolean> {
  for (let seed = 1; seed <= seeds; seed++) {
    const { findings } = await simulate(drawScenario(seed), { flaw });
    if (findings.some((finding) => finding.law === law)) return true;
  }
  return false;
}

test("the simulation goes the same way twice", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const [first, second] = [
      await simulate(drawScenario(seed), { trace: "operations" }),
      await simulate(drawScenario(seed), { trace: "operations" }),
    ];
    expect(second.history, `seed ${seed}`).toEqual(first.history);
    expect(first.history.length).toBeGreaterThan(50);
  }
});

test("the simulation notices when files are replaced in place: L8", async () => {
  const scene = scenes["a one-shot"] ?? expect.fail("the scene is gone");
  const flaw = "files are replaced in place";
  const { operations } = await simulate(scene, { flaw });
  let isNoticed = false;
  for (let killAt = 1; killAt <= operations && !isNoticed; killAt++) {
    const { findings } = await simulate(scene, { flaw, killAt });
    isNoticed = findings.some(({ law }) => law === "L8");
  }
  expect(isNoticed).toBe(true);
});

const flaws: readonly (readonly [flaw: Flaw, law: string, seeds: number])[] = [
  ["locks exclude nobody", "L2", 60],
  ["slot lines are lost", "L1", 10],
  ["slot lines are lost", "verify L1", 10],
  ["ends are lost", "L7", 10],
  ["ends are lost", "verify L7", 10],
  ["strangers look like runs", "L5", 200],
  ["environments are mixed up", "L6", 5],
  ["SIGKILL does nothing", "L7", 60],
  ["limits are misread", "limits", 40],
];

test.each(flaws)("the simulation notices when %s: %s", { timeout: 300_000 }, async (flaw, law, seeds) => {
  expect(await isNoticed(flaw, law, seeds)).toBe(true);
});
