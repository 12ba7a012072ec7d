import { expect, test } from "vitest";
import { fireFencePath, takeFireFences } from "../../src/store/fire-fence.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";
import { createFakeLocks, type LockTable } from "../helpers/fake-lock.ts";

test("fireFencePath() is the path that Hermes names", () => {
  const paths = [
    fireFencePath("/home/u/.hermes/cron", "abc123abc123"),
    fireFencePath("/home/ada/.hermes/cron", "3c05ccd90c56"),
  ];
  expect(paths).toEqual([
    "/home/u/.hermes/cron/.fire-e59d67fc8340517cb01a1dbacc1f5b4c.lock",
    "/home/ada/.hermes/cron/.fire-18bd217d90225fb8a3a19072a9ad5546.lock",
  ]);
});

test("takeFireFences() names the fences by the real folder, and says which are busy", () => {
  const { files, table } = createWorld();
  const theirs = createFakeLocks(files, table, 7).tryLock(fireFencePath("/tmp/real/cron", "b"));
  const fences = takeFireFences({ files, locks: createFakeLocks(files, table, 8) }, "/tmp/link/cron", [
    "c",
    "b",
    "a",
    "c",
  ]);
  expect([...fences.held].sort()).toEqual(["a", "c"]);
  expect([...fences.busy]).toEqual(["b"]);
  expect([...table.values()].sort()).toEqual([7, 8, 8]);
  expect(files.list("/tmp/real/cron")).toEqual(
    ["a", "b", "c"].map((id) => fireFencePath("/tmp/real/cron", id).slice("/tmp/real/cron/".length)).sort(),
  );
  fences.release();
  fences.release();
  expect([...table.values()]).toEqual([7]);
  theirs?.release();
});

test("takeFireFences() gives back what it has when a lock file cannot be made", () => {
  const { files, table } = createWorld();
  files.beforeChange = (_, path) => {
    if (files.list("/tmp/real/cron").length === 1) throw new Error(`Cannot make ${path}`);
  };
  const locks = createFakeLocks(files, table, 8);
  expect(() => takeFireFences({ files, locks }, "/tmp/real/cron", ["a", "b"])).toThrow(
    "Cannot make /tmp/real/cron/.fire-",
  );
  expect(table.size).toBe(0);
});

function createWorld() {
  const files = createFakeFiles();
  files.makeFolder("/tmp/real/cron", 0o700, true);
  files.link("/tmp/link", "/tmp/real");
  const table: LockTable = new Map();
  return { files, table };
}
