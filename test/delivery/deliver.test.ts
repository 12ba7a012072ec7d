import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { type DeliveryOutlook, isDeliveryOver } from "../../src/core/delivery.ts";
import { stepDelivery } from "../../src/delivery/deliver.ts";
import { createHermesDeliveries } from "../../src/delivery/hermes-deliveries.ts";
import { createOutbox } from "../../src/delivery/outbox.ts";
import { createStandAlone, type WorkerAnswer } from "../../src/delivery/stand-alone.ts";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import type { Processes } from "../../src/system/processes.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";

const files = createFiles();
const runIds = ["r1", "r2"];
const noConnection = "httpx.ConnectError: All connection attempts failed";

class Crash extends Error {}

/** One story: the daemon, gateways and processes of Hermes live and die as `draw` has it, and in the end all of them work. */
function tell(seed: number, folder: string): readonly string[] {
  const draw = createSeededRandom(seed);
  const chance = (of: number): boolean => draw() < of;
  const sent = new Map(runIds.map((runId) => [runId, 0]));
  const log: string[] = [];
  const state = join(folder, String(seed));
  files.makeFolder(state, 0o700, true);
  const ledger = createRunLedger({ files }, join(state, "supervisor.db"));
  let gatewayPid: number | null = null;
  let nextPid = 100;
  let nowMs = 0;
  let isCalm = false;
  const hasRows = chance(0.5);
  const outbox = createOutbox({ files, random: createRandom() }, state);
  const processes = {
    fingerprint: (pid: number) =>
      pid === gatewayPid ? { pid, startTicks: null, bootId: "b", pidNamespace: null } : null,
  } as unknown as Processes;
  const rows = createHermesDeliveries({ files, processes }, state, () => "2026-01-05T12:00:00+00:00");

  /** Sends once more, or cannot; null when nobody will ever say how it went. */
  const send = (runId: string): WorkerAnswer | null => {
    if (!isCalm && chance(0.2)) return { ok: true, answer: { error: noConnection } };
    sent.set(runId, (sent.get(runId) ?? 0) + 1);
    log.push(`${runId} is sent`);
    return !isCalm && chance(0.3) ? null : { ok: true, answer: { error: null } };
  };
  const errorOf = (answer: WorkerAnswer): string | null =>
    answer.ok && typeof answer.answer["error"] === "string" ? answer.answer["error"] : null;

  /** What processes of Hermes have to do; they outlive the daemon that asked. */
  let work: (() => void)[] = [];
  const newStandAlone = () =>
    createStandAlone(
      ({ runId }) =>
        // Settled at once when it is called, so that the story needs no waiting.
        ({
          // biome-ignore lint/suspicious/noThenProperty: it stands for a promise whose moment the story chooses
          then(act: (answer: WorkerAnswer) => void) {
            work.push(() => act(send(runId) ?? { ok: false, error: "It was killed" }));
          },
        }) as unknown as Promise<WorkerAnswer>,
      () => undefined,
    );
  let standAlone = newStandAlone();

  const drainRows = (): void => {
    const database = new DatabaseSync(join(state, "deliveries.db"));
    const row: { id?: unknown } | undefined = database
      .prepare("SELECT execution_id AS id FROM deliveries WHERE status = 'pending' LIMIT 1")
      .get();
    if (row !== undefined) {
      const id = String(row.id);
      const mark = (status: string, error: string | null): void =>
        void database
          .prepare("UPDATE deliveries SET status = ?, error = ?, owner_pid = ? WHERE execution_id = ?")
          .run(status, error, gatewayPid, id);
      mark("delivering", null);
      const answer = send(id.split(".")[0] ?? "");
      if (answer === null) gatewayPid = null;
      else mark(errorOf(answer) === null ? "delivered" : "failed", errorOf(answer));
    }
    database.close();
  };
  const drainOutbox = (): void => {
    const folder = join(state, "outbox");
    const name = readdirSync(folder).find((one) => one.endsWith(".json"));
    if (name === undefined) return;
    const stem = join(folder, name.slice(0, -".json".length));
    renameSync(`${stem}.json`, `${stem}.sending`);
    expect(JSON.parse(readFileSync(`${stem}.sending`, "utf8")).content).toBe("Done");
    const answer = send(name.split(".")[0] ?? "");
    if (answer === null) gatewayPid = null;
    else writeFileSync(`${stem}.done`, JSON.stringify({ error: errorOf(answer), unknown: false }));
  };
  /** As the plugin does at its start. */
  const answerLeft = (): void => {
    const folder = join(state, "outbox");
    for (const name of readdirSync(folder).filter((one) => one.endsWith(".sending"))) {
      const done = join(folder, name.replace(".sending", ".done"));
      if (files.stat(done) === null) writeFileSync(done, JSON.stringify({ error: "It died", unknown: true }));
    }
  };
  const step = (): void => {
    const outlook: DeliveryOutlook = {
      gateway: gatewayPid !== null,
      rows: hasRows && gatewayPid !== null,
      outbox: !hasRows && gatewayPid !== null,
      worker: isCalm || chance(0.3) ? "ready" : "none",
    };
    let left = isCalm || chance(0.7) ? Number.POSITIVE_INFINITY : Math.ceil(draw() * 4);
    const fault = (point: string): void => {
      left -= 1;
      if (left > 0) return;
      log.push(`the daemon dies ${point}`);
      throw new Crash();
    };
    for (const delivery of ledger.openDeliveries()) {
      if (isDeliveryOver(delivery.state)) continue;
      try {
        stepDelivery(ledger, { rows, outbox, standAlone }, delivery, outlook, nowMs, fault);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        standAlone = newStandAlone();
        return;
      }
    }
  };
  const drain = (): void => {
    if (gatewayPid === null) return;
    if (hasRows) drainRows();
    else {
      answerLeft();
      drainOutbox();
    }
  };
  const happenings: readonly (() => void)[] = [
    step,
    step,
    drain,
    () => work.splice(0, 1)[0]?.(),
    () => {
      gatewayPid = gatewayPid === null ? nextPid++ : null;
      log.push(gatewayPid === null ? "the gateway ends" : "a gateway starts");
    },
    () => {
      nowMs += 61_000;
    },
  ];

  rows.make();
  outbox.prepare();
  for (const runId of runIds) {
    ledger.queueDelivery({
      runId,
      home: "default",
      jobId: runId,
      target: "telegram:1",
      record: "{}",
      content: "Done",
      isBare: false,
      forFailure: false,
      incident: null,
      queuedAtMs: 0,
    });
  }
  for (let count = 0; count < 40; count += 1) happenings[Math.floor(draw() * happenings.length)]?.();
  isCalm = true;
  for (let count = 0; count < 60; count += 1) {
    nowMs += 61_000;
    if (gatewayPid === null && count > 20) gatewayPid = nextPid++;
    step();
    drain();
    for (const act of work.splice(0)) act();
  }
  work = [];
  const broken = runIds.flatMap((runId) => {
    const end = ledger.delivery(runId)?.state ?? "none";
    const times = sent.get(runId) ?? 0;
    const isRight =
      end === "delivered" ? times === 1 : end === "unknown" ? times <= 1 : end === "failed" && times === 0;
    return isRight ? [] : [`seed ${seed}: ${runId} is ${end} and was sent ${times} times`, ...log];
  });
  ledger.dispose();
  return broken;
}

test("whatever dies at whatever step, nothing is sent twice, lost, or said to be what it is not", () => {
  const folder = mkdtempSync(join(tmpdir(), "deliver-"));
  try {
    for (let seed = 1; seed <= 150; seed += 1) expect(tell(seed, folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
