import { expect, test } from "vitest";
import { trySeed } from "./try-seed.ts";

// Two files, so that two cores share the 400 seeds. `npm run simulate` tries many more.
test("the scenarios of seeds 201 to 400 keep the laws", { timeout: 300_000 }, async () => {
  for (let seed = 201; seed <= 400; seed++) {
    const story = await trySeed(seed);
    if (story !== null) expect.fail(story);
  }
});
