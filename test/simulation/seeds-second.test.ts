import { expect, test } from "vitest";
import { trySeed } from "./try-seed.ts";

// Two files, so that two cores share the 1,000 seeds. `npm run simulate` tries many more.
test("the scenarios of seeds 501 to 1000 keep the laws", { timeout: 300_000 }, async () => {
  for (let seed = 501; seed <= 1000; seed++) {
    const story = await trySeed(seed);
    if (story !== null) expect.fail(story);
  }
});
