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
