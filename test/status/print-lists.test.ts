import { expect, test } from "vitest";
import { allAtOnce } from "../../src/core/work.ts";
import { printLists } from "../../src/status/print-lists.ts";

test("printLists() prints what JSON.stringify prints of them, in parts that none of which is large", () => {
  const many = Array.from({ length: 5000 }, (_, index) => ({ id: index, name: `job "${index}" ünd 漢字` }));
  for (const lists of [{ jobs: [] }, { jobs: [1] }, { occurrences: many, errors: [] }, { a: [], b: many, c: [null] }]) {
    const parts = allAtOnce(printLists(lists));
    expect(Buffer.concat(parts).toString("utf8")).toBe(`${JSON.stringify(lists)}\n`);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThan(256 * 1024);
  }
});

test("printLists() stops every few items, so that others have their turn", () => {
  const work = printLists({ jobs: Array.from({ length: 1000 }, (_, index) => index) });
  let cuts = 0;
  while (work.next().done !== true) cuts += 1;
  expect(cuts).toBe(15);
});
