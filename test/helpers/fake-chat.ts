import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createHermesDeliveries } from "../../src/delivery/hermes-deliveries.ts";
import { createFiles } from "../../src/system/real-files.ts";
import type { SupervisedHome } from "./supervised-home.ts";

/** What was sent, whoever sent it. */
export interface Sent {
  readonly job: { readonly id: string };
  readonly content: string;
  readonly for_failure: boolean;
}

/** A gateway that takes what lies there, sends it once and says `error`; with `dies` it takes it and says nothing more. */
export interface FakeGateway {
  readonly sent: Sent[];
  error: string | null;
  dies: boolean;
  /** Takes what lies there. */
  drain(): void;
}

const files = createFiles();

/** This very process stands for the gateway: it is alive, and Hermes' own file names it. */
export function startGateway(home: SupervisedHome, way: "rows" | "outbox"): FakeGateway {
  home.file("gateway.pid", JSON.stringify({ pid: process.pid, kind: "hermes-gateway" }));
  const cron = join(home.path, "cron");
  if (way === "outbox") home.file("plugins/hermes-supervisor/loaded.json", JSON.stringify({ pid: process.pid }));
  else createHermesDeliveries({ files, processes: { fingerprint: () => null } as never }, cron, () => "").make();
  const gateway: FakeGateway = {
    sent: [],
    error: null,
    dies: false,
    drain: () => (way === "rows" ? drainRows(cron, gateway) : drainOutbox(join(home.state, "outbox"), gateway)),
  };
  return gateway;
}

function drainRows(cron: string, gateway: FakeGateway): void {
  const database = new DatabaseSync(join(cron, "deliveries.db"), { timeout: 5000 });
  try {
    for (;;) {
      const row = database.prepare("SELECT * FROM deliveries WHERE status = 'pending'").get();
      if (row === undefined) return;
      const { execution_id: id, job_json: job, content, for_failure: forFailure } = row as Record<string, string>;
      database
        .prepare("UPDATE deliveries SET status = 'delivering', owner_pid = ? WHERE execution_id = ?")
        .run(gateway.dies ? 2 ** 22 + 1 : process.pid, String(id));
      gateway.sent.push({
        job: JSON.parse(String(job)),
        content: String(content),
        for_failure: Number(forFailure) === 1,
      });
      if (gateway.dies) continue;
      database
        .prepare("UPDATE deliveries SET status = ?, error = ?, job_json = '{}', content = '' WHERE execution_id = ?")
        .run(gateway.error === null ? "delivered" : "failed", gateway.error, String(id));
    }
  } finally {
    database.close();
  }
}

function drainOutbox(folder: string, gateway: FakeGateway): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (!name.endsWith(".json")) continue;
    const stem = join(folder, name.slice(0, -".json".length));
    try {
      renameSync(`${stem}.json`, `${stem}.sending`);
    } catch {
      // It was taken back.
      continue;
    }
    gateway.sent.push(JSON.parse(readFileSync(`${stem}.sending`, "utf8")));
    if (gateway.dies) continue;
    writeFileSync(`${stem}.answer`, JSON.stringify({ error: gateway.error, unknown: false }));
    renameSync(`${stem}.answer`, `${stem}.done`);
  }
}

/**
 * A stand-in for the Python of a Hermes. It keeps what it is asked to send in `sent` and says what `answer` holds; what it makes of
 * a failure is in `notice`. `hang` keeps it from answering.
 */
export function installHermes(home: SupervisedHome, features: Readonly<Record<string, boolean>> = {}): string {
  const python = join(home.path, "python");
  const probe = JSON.stringify({ version: "0.22.2", release: "hermes-agent", features, blocked_names: [] });
  home.file("answer", '{"error": null}');
  home.file("notice", '{"deliver": "It failed, says Hermes", "incident": null}');
  mkdirSync(join(home.path, "sent"), { recursive: true });
  writeFileSync(
    python,
    `#!/bin/sh
[ "$2" = ask ] || exec python3 "$@"
case "$(cat "$3")" in
*'"ask":"probe"'*) echo '${probe}' > "$4" ;;
*'"ask":"failure"'*) cp '${home.path}/notice' "$4" ;;
*'"ask":"deliver"'*)
  cp "$3" '${home.path}/sent/'$$
  while [ -e '${home.path}/hang' ]; do sleep 0.05; done
  cp '${home.path}/answer' "$4" ;;
*) echo "$(cat "$3")" >> '${home.path}/asked'; echo '{}' > "$4" ;;
esac
`,
  );
  chmodSync(python, 0o755);
  return python;
}

/** What the stand-in was asked to send. */
export function sentAlone(home: SupervisedHome): readonly Sent[] {
  const folder = join(home.path, "sent");
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
}
