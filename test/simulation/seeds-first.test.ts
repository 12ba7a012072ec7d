import { expect, test } from "vitest";
import { trySeed } from "./try-seed.ts";

// Two files, so that two cores share the 400 seeds. `npm run simulate` tries many more.
test("the scenarios of seeds 1 to 200 keep the laws", { timeout: 300_000 }, async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const story = await trySeed(seed);
    if (story !== null) expect.fail(story);
  }
});
