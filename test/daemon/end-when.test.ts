import { expect, test } from "vitest";
import { endWhen } from "../../src/daemon/end-when.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

test("endWhen() ends at once, as soon as it can, or after 1.2 s", () => {
  const ended = [0, 60, Number.POSITIVE_INFINITY].map((doneAfterMs) => {
    const clock = createFakeClock(0);
    const startMs = clock.monotonicMs();
    const ends: number[] = [];
    endWhen(
      clock,
      () => clock.monotonicMs() - startMs >= doneAfterMs,
      () => ends.push(clock.monotonicMs() - startMs),
    );
    while (clock.fireNext());
    return ends;
  });
  expect(ended).toEqual([[0], [75], [1200]]);
});
