import { expect, test } from "vitest";
import { shareNext } from "../../src/status/share-next.ts";

test("shareNext() makes one at a time, and the next one for all who came meanwhile", async () => {
  const making: PromiseWithResolvers<string>[] = [];
  const ask = shareNext(() => {
    const one = Promise.withResolvers<string>();
    making.push(one);
    return one.promise;
  });
  const first = ask();
  await Promise.resolve();
  const meanwhile = [ask(), ask(), ask()];
  expect(making.length).toBe(1);
  making[0]?.reject(new Error("torn"));
  await expect(first).rejects.toThrow("torn");
  await new Promise((resolve) => setImmediate(resolve));
  expect(making.length).toBe(2);
  const later = ask();
  making[1]?.resolve("second");
  expect(await Promise.all(meanwhile)).toEqual(["second", "second", "second"]);
  await new Promise((resolve) => setImmediate(resolve));
  making[2]?.resolve("third");
  expect([await later, making.length]).toEqual(["third", 3]);
});
