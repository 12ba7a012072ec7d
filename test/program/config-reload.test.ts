import { expect, test } from "vitest";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { makeSupervisedHome, until } from "../helpers/supervised-home.ts";
import {
  editedFiles,
  endWaitingRuns,
  lastOf,
  lives,
  makeEdits,
  openWaitingRuns,
  takenIn,
} from "../soak/config-edits.ts";

test("45 edits by rename, in place, in parts and by a swapped link count, whole and in order, and no open run notices", async () => {
  const home = makeSupervisedHome();
  const files = editedFiles(home);
  const runs = 5;
  const random = createSeededRandom(45);
  const daemon = await openWaitingRuns(home, () => home.start(), runs);
  const before = home.runs().map(({ id, pid, state }) => ({ id, pid, state }));
  const edits = await makeEdits(files, 45, () => 30 + random() * 70);
  const wanted = lastOf(edits);
  await until(() => files.every(({ path }) => lastOf(takenIn(daemon.log()))[path] === wanted[path]), 60_000);

  // What counted is what somebody wanted to count, in the order of the edits.
  const order = edits.map(({ path, hash }) => `${path} ${hash}`);
  const counted = takenIn(daemon.log()).map(({ path, hash }) => order.indexOf(`${path} ${hash}`));
  expect(counted).not.toContain(-1);
  for (const file of files) {
    const own = counted.filter((index) => edits[index]?.path === file.path);
    expect(own).toEqual([...new Set(own)].sort((a, b) => a - b));
  }
  const { json } = home.ask("status");
  const { config, homes } = json as {
    readonly config: { readonly path: string; readonly content_hash: string };
    readonly homes: readonly { readonly config: { readonly path: string; readonly content_hash: string } }[];
  };
  const hashes = [config, ...homes.map((each) => each.config)].map(({ path, content_hash }) => [path, content_hash]);
  expect(Object.fromEntries(hashes)).toEqual(wanted);

  expect(home.runs().map(({ id, pid, state }) => ({ id, pid, state }))).toEqual(before);
  await endWaitingRuns(home, runs);
  expect(home.runs().map(({ state, exit_code, attempt }) => ({ state, exit_code, attempt }))).toEqual(
    Array.from({ length: runs }, () => ({ state: "completed", exit_code: 0, attempt: 1 })),
  );
  expect(lives(home).toSorted()).toEqual([...Array(runs).fill("end"), ...Array(runs).fill("start")]);
}, 120_000);
