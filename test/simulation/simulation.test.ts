import { expect, test } from "vitest";
import { scenes } from "./scenes.ts";
import { simulate } from "./simulate.ts";

for (const [name, scene] of Object.entries(scenes)) {
  test(`a daemon killed at any operation keeps the laws: ${name}`, { timeout: 240_000 }, async () => {
    const whole = await simulate(scene);
    expect(whole.findings).toEqual([]);
    for (let killAt = 1; killAt <= whole.operations; killAt++) {
      const { findings } = await simulate(scene, { killAt });
      if (findings.length > 0) {
        const { history } = await simulate(scene, { killAt, trace: "operations" });
        expect.fail(`Killed at operation ${killAt}:\n${history.join("\n")}`);
      }
    }
  });
}

test("a daemon killed before it has adopted all that was handed over leaves no orphan", async () => {
  const scene = scenes["a hand-over"];
  if (scene === undefined) throw new Error('There is no scene "a hand-over"');
  const { history } = await simulate(scene, { trace: "operations" });
  const handedOver = history.findIndex((line) => line.includes("no daemon for"));
  const adopted = history.findIndex((line) => line.includes("commit adopt"));
  const operations = history.slice(handedOver, adopted + 1).flatMap((line) => / {3}(\d+) /.exec(line)?.[1] ?? []);
  expect(operations.length).toBeGreaterThan(3);
  for (const killAt of operations.map(Number)) {
    const { findings, history: killed } = await simulate(scene, { killAt, trace: "happenings" });
    const found = killed.flatMap((line) => /"found":"(\w+)"/.exec(line)?.[1] ?? []);
    expect({ killAt, findings, last: found.at(-1) }).toEqual({ killAt, findings: [], last: "adopt" });
  }
});
