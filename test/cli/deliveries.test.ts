import { afterEach, beforeEach, expect, test } from "vitest";
import type { QueuedDelivery } from "../../src/ledger/deliveries.ts";
import { type CliHome, claimedRun, completed, createCliHome, nowMs, record } from "./cli-home.ts";

let home: CliHome;

beforeEach(() => {
  home = createCliHome();
});

afterEach(() => home.remove());

function queued(runId: string, jobId: string): QueuedDelivery {
  return {
    runId,
    home: "default",
    jobId,
    target: "telegram:1",
    record: "{}",
    content: "Done",
    isBare: false,
    forFailure: false,
    incident: null,
    queuedAtMs: nowMs - 50_000,
  };
}

const jobs = ["sent", "refused", "lost", "queued", "silent", "local"];

function prepare(): void {
  home.jobs(jobs.map((name, index) => record(`aaaa0000000${index}`, name)));
  home.ledger((ledger) => {
    for (const [index, name] of jobs.entries()) {
      const [runId, jobId] = [`run00000000${index}`, `aaaa0000000${index}`];
      ledger.claim([claimedRun(runId, jobId, name)]);
      ledger.start(runId, nowMs - 59_000);
      ledger.close(
        runId,
        completed(
          name === "lost"
            ? { state: "failed", reason: "exit", exitCode: 3, error: "Script exited with code 3: no" }
            : {},
        ),
      );
      if (name === "local") continue;
      ledger.queueDelivery(queued(runId, jobId));
      if (name === "queued") ledger.noteDeliveryWait(runId, "It waits for a gateway: none is running");
      else ledger.moveDelivery(runId, "hand", { way: "rows", handedAtMs: nowMs - 49_000 });
      if (name === "sent") ledger.moveDelivery(runId, "deliver", {});
      if (name === "refused") ledger.moveDelivery(runId, "fail", { error: "unknown\nplatform" });
      if (name === "lost") ledger.moveDelivery(runId, "lose", { error: "the gateway died" });
      if (name === "silent") ledger.moveDelivery(runId, "suppress", { error: "People were told" });
    }
  });
}

test("runs tells what became of a result that did not arrive", async () => {
  prepare();
  const { out } = await home.run("runs");
  const ends = new Map(jobs.map((name) => [name, out.split("\n").find((line) => line.includes(` ${name} `)) ?? ""]));
  expect(ends.get("sent")).toMatch(/completed\s*$/u);
  expect(ends.get("refused")).toMatch(/completed +not delivered to telegram:1: unknown platform$/u);
  expect(ends.get("lost")).toMatch(/failed: exit 3 +no; maybe not delivered to telegram:1: the gateway died$/u);
  expect(ends.get("queued")).toMatch(
    /completed +not delivered to telegram:1 yet: It waits for a gateway: none is running$/u,
  );
  expect(ends.get("silent")).toMatch(/completed\s*$/u);
  const document = JSON.parse((await home.run("runs", "--json")).out);
  expect(
    document.runs.map(({ job_name, delivery }: { job_name: string; delivery: unknown }) => [job_name, delivery]),
  ).toEqual(
    expect.arrayContaining([
      ["sent", { state: "delivered", target: "telegram:1", error: null }],
      ["refused", { state: "failed", target: "telegram:1", error: "unknown\nplatform" }],
      ["lost", { state: "unknown", target: "telegram:1", error: "the gateway died" }],
      ["queued", { state: "pending", target: "telegram:1", error: "It waits for a gateway: none is running" }],
      ["silent", { state: "suppressed", target: "telegram:1", error: "People were told" }],
      ["local", null],
    ]),
  );
});

test("status raises an alert for each job whose latest result did not arrive", async () => {
  prepare();
  const { alerts } = JSON.parse((await home.run("status", "--json")).out);
  const since = "2026-01-05T11:59:10.000Z";
  const alert = (jobId: string, message: string): object => ({
    kind: "delivery_failed",
    home: "default",
    job_id: jobId,
    message,
    since,
  });
  expect(alerts.filter(({ kind }: { kind: string }) => kind === "delivery_failed")).toEqual([
    alert("aaaa00000001", 'The result of job "refused" was not delivered to telegram:1: unknown\nplatform'),
    alert("aaaa00000002", 'It is not known whether the result of job "lost" reached telegram:1: the gateway died'),
    alert(
      "aaaa00000003",
      'The result of job "queued" is not delivered to telegram:1 yet: It waits for a gateway: none is running',
    ),
  ]);
  home.ledger((ledger) => {
    ledger.queueDelivery({ ...queued("run00000000x", "aaaa00000001"), queuedAtMs: nowMs });
    ledger.moveDelivery("run00000000x", "hand", { way: "rows" });
    ledger.moveDelivery("run00000000x", "deliver", {});
  });
  const later = JSON.parse((await home.run("status", "--json")).out);
  expect(
    later.alerts
      .filter(({ kind }: { kind: string }) => kind === "delivery_failed")
      .map(({ job_id }: { job_id: string }) => job_id),
  ).toEqual(["aaaa00000002", "aaaa00000003"]);
});
