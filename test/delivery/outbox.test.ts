import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Delivery } from "../../src/core/delivery.ts";
import { createOutbox, type Outbox } from "../../src/delivery/outbox.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";

let state: string;
let outbox: Outbox;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "outbox-"));
  outbox = createOutbox({ files: createFiles(), random: createRandom() }, state);
});

afterEach(() => rmSync(state, { recursive: true }));

const delivery: Delivery = {
  runId: "r1",
  home: "team",
  jobId: "aaaaaaaaaaaa",
  target: "telegram:1",
  record: '{"id": "aaaaaaaaaaaa", "chat": 12345678901234567890}',
  content: 'Done "☃"\n',
  isBare: false,
  forFailure: true,
  incident: null,
  state: "sending",
  way: "outbox",
  attempts: 1,
  queuedAtMs: 0,
  handedAtMs: 0,
  retryAtMs: null,
  error: null,
  recorded: false,
};

const path = (name: string): string => join(state, "outbox", name);
const names = (): readonly string[] => readdirSync(join(state, "outbox")).toSorted();

test("put() writes the message that the plugin reads, for nobody else's eyes", () => {
  outbox.prepare();
  outbox.put(delivery);
  expect(names()).toEqual(["r1.json"]);
  expect(readFileSync(path("r1.json"), "utf8")).toBe(
    '{"job": {"id": "aaaaaaaaaaaa", "chat": 12345678901234567890}, "content": "Done \\"☃\\"\\n", "for_failure": true, "home": "team"}\n',
  );
  expect([statSync(path("r1.json")).mode & 0o777, statSync(join(state, "outbox")).mode & 0o777]).toEqual([
    0o600, 0o700,
  ]);
  outbox.put({ ...delivery, attempts: 2 });
  expect(names()).toEqual(["r1.2.json", "r1.json"]);
});

test("look() follows the message on its way", () => {
  expect(outbox.look(delivery, true)).toEqual({ kind: "gone" });
  outbox.prepare();
  expect(outbox.look(delivery, true)).toEqual({ kind: "absent" });
  outbox.put(delivery);
  expect(outbox.look(delivery, true)).toEqual({ kind: "untaken" });
  renameSync(path("r1.json"), path("r1.sending"));
  expect(outbox.look(delivery, true)).toEqual({ kind: "taken", alive: true });
  expect(outbox.look(delivery, false)).toEqual({ kind: "taken", alive: false });
  // The plugin answers before it takes its own file away.
  for (const [answer, seen] of [
    ['{"error": null, "unknown": false}', { kind: "ended", event: "deliver", error: null }],
    ['{"error": null}', { kind: "ended", event: "deliver", error: null }],
    ['{"error": "unknown platform"}', { kind: "ended", event: "fail", error: "unknown platform" }],
    ['{"error": "it died", "unknown": true}', { kind: "ended", event: "lose", error: "it died" }],
    ...["", "{}", "null", '"sent"'].map(
      (text) =>
        [
          text,
          {
            kind: "ended",
            event: "lose",
            error: "The gateway's answer cannot be read, so it is not known whether it was sent",
          },
        ] as const,
    ),
  ] as const) {
    writeFileSync(path("r1.done"), answer);
    expect([answer, outbox.look(delivery, false)]).toEqual([answer, seen]);
  }
  outbox.clear(delivery);
  expect(names()).toEqual([]);
});

test("withdraw() takes back only what the plugin has not taken", () => {
  outbox.prepare();
  outbox.put(delivery);
  expect(outbox.withdraw(delivery)).toBe(true);
  expect(names()).toEqual([]);
  outbox.put(delivery);
  renameSync(path("r1.json"), path("r1.sending"));
  expect(outbox.withdraw(delivery)).toBe(false);
  expect(names()).toEqual(["r1.sending"]);
});

test("sweep() removes what a crash left of deliveries that are over, and nothing that somebody still needs", () => {
  outbox.sweep(() => true);
  expect(existsSync(join(state, "outbox"))).toBe(false);
  mkdirSync(join(state, "outbox"));
  for (const name of ["r1.done", "r1.2.done", "r2.done", "r3.json", "r4.sending", "r5.withdrawn", ".x.tmp"])
    writeFileSync(path(name), "");
  outbox.sweep((runId) => runId === "r2");
  expect(names()).toEqual(["r2.done", "r3.json", "r4.sending"]);
});
