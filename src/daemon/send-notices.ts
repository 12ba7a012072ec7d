import { createHash } from "node:crypto";
import { type Notice, noticeBackoffMs, planNotices } from "../core/notices.ts";
import { type Notifier, notifierName } from "../core/notifier.ts";
import type { AlertLedger } from "../ledger/alerts.ts";
import type { Timer } from "../system/clock.ts";
import type { System } from "../system/system.ts";

/** More than a program has to say that was only to pass something on. */
const outputBytesMax = 256 * 1024;
const saidBytes = 2048;
const wakeMsMax = 60_000;
/** A daemon that is to end has no more time for them. */
const haltMsMax = 1000;

export interface NoticeParts {
  readonly system: System;
  readonly ledger: AlertLedger;
  readonly stateFolder: string;
  /** What runs `worker/post-webhook.mjs`. */
  readonly nodePath: string;
  readonly webhookPath: string;
  /** The part of the daemon's environment that commands get. */
  environment(): Readonly<Record<string, string>>;
  notifiers(): readonly Notifier[];
  counted(result: "sent" | "failed" | "dropped"): void;
}

/** Takes notices to those who want to be told: each by a process of its own with bounds, and again later where that fails. */
export interface NoticeSender {
  /** Something was queued, or the settings are others. Never throws and never waits. */
  look(): void;
  /** Begins nothing more. Resolves when nothing is under way, which is a moment at most: what takes longer is ended, and tried again. */
  halt(): Promise<void>;
}

/** Names a notifier in the ledger, where its address must not stand. */
export function notifierKey(notifier: Notifier): string {
  const what = notifier.kind === "command" ? notifier.words : notifier.url;
  return createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 16);
}

export function createNoticeSender(parts: NoticeParts): NoticeSender {
  const { system, ledger } = parts;
  const { clock, files, log } = system;
  const folder = `${parts.stateFolder}/notices`;
  const busy = new Map<string, AbortController>();
  let timer: Timer | null = null;
  let isSwept = false;
  let halted = false;
  let settled = (): void => undefined;

  function round(): void {
    timer = null;
    if (halted) return;
    const byKey = new Map(parts.notifiers().map((notifier) => [notifierKey(notifier), notifier]));
    const nowMs = clock.nowMs();
    const { send, drop, wakeAtMs } = planNotices(ledger.notices(), new Set(byKey.keys()), new Set(busy.keys()), nowMs);
    for (const { notice, why } of drop) {
      ledger.deleteNotice(notice.id);
      parts.counted("dropped");
      log.warn("a notice of an alert is dropped", { notice: notice.id, why });
    }
    for (const notice of send) {
      const notifier = byKey.get(notice.notifier);
      if (notifier !== undefined) start(notice, notifier);
    }
    if (wakeAtMs !== null) arm(Math.min(wakeMsMax, Math.max(0, wakeAtMs - nowMs)));
  }

  function arm(delayMs: number): void {
    timer?.cancel();
    timer = clock.after(delayMs, () => guarded(round));
  }

  /** What goes wrong with a notice must not reach the daemon. */
  function guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      log.warn("notices of alerts wait", { error: error instanceof Error ? error.message : String(error) });
      if (!halted) arm(wakeMsMax);
    }
  }

  function start(notice: Notice, notifier: Notifier): void {
    const attempts = notice.attempts + 1;
    // Before it begins: a daemon that dies over it must not begin it again and again.
    ledger.tryNotice(notice.id, attempts, clock.nowMs() + notifier.timeoutMs + noticeBackoffMs(attempts));
    const abort = new AbortController();
    busy.set(notice.notifier, abort);
    void send(notice, notifier, abort.signal).then((fault) =>
      guarded(() => {
        busy.delete(notice.notifier);
        if (busy.size === 0) settled();
        if (fault === null) {
          ledger.deleteNotice(notice.id);
          parts.counted("sent");
        } else {
          parts.counted("failed");
          const retryMs = noticeBackoffMs(attempts);
          ledger.tryNotice(notice.id, attempts, clock.nowMs() + retryMs);
          const to = notifierName(notifier);
          log.warn("a notice of an alert was not taken", {
            to,
            notice: notice.id,
            attempts,
            retry_ms: retryMs,
            error: fault,
          });
        }
        if (!halted) arm(0);
      }),
    );
  }

  /** Null when it was taken, else why not. Never rejects. */
  async function send(notice: Notice, notifier: Notifier, signal: AbortSignal): Promise<string | null> {
    const own = `${folder}/${system.random.token(12)}`;
    try {
      sweep();
      files.makeFolder(own, 0o700, true);
      const { id } = notice;
      // The same each time it is tried, so that who gets it twice can tell.
      const content = JSON.stringify({ id, ...(JSON.parse(notice.content) as object) });
      files.create(`${own}/notice.json`, `${content}\n`, 0o600);
      if (notifier.kind === "webhook") {
        const { url, tokenFile, timeoutMs } = notifier;
        const request = { url, token_file: tokenFile, timeout_ms: timeoutMs, body: content };
        files.create(`${own}/request.json`, JSON.stringify(request), 0o600);
      }
      const words =
        notifier.kind === "command" ? notifier.words : [parts.nodePath, parts.webhookPath, `${own}/request.json`];
      const end = await system.processes.runBounded({
        file: words[0] ?? "",
        arguments: words.slice(1),
        cwd: parts.stateFolder,
        environment: { ...parts.environment(), ...variablesOf(content) },
        inputPath: `${own}/notice.json`,
        outputPath: `${own}/output`,
        watched: [],
        bytesMax: outputBytesMax,
        timeoutMs: notifier.timeoutMs + (notifier.kind === "webhook" ? 2000 : 0),
        signal,
      });
      if (end.killed !== null) return ends[end.killed];
      if (end.exitCode === 0) return null;
      const how = end.signal === null ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
      const said = lastLine(`${own}/output`);
      return said === "" ? how : `${how}: ${said}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      try {
        if (files.stat(own) !== null) files.removeFolder(own);
      } catch {
        // Something that outlived it still writes there; the next daemon sweeps it.
      }
    }
  }

  function lastLine(path: string): string {
    const size = files.stat(path)?.sizeBytes ?? 0;
    const text = new TextDecoder().decode(files.readPart(path, Math.max(0, size - saidBytes), saidBytes));
    const lines = text.split("\n").map((line) => line.replace(/[\x00-\x1f\x7f]/gu, " ").trim());
    return (lines.findLast((line) => line !== "") ?? "").slice(0, 200);
  }

  function sweep(): void {
    if (isSwept) return;
    isSwept = true;
    // What a daemon left that was killed.
    if (files.stat(folder) !== null) files.removeFolder(folder);
  }

  return {
    look: () => {
      if (!halted) arm(0);
    },
    async halt() {
      halted = true;
      timer?.cancel();
      if (busy.size === 0) return;
      const last = clock.after(haltMsMax, () => {
        for (const abort of busy.values()) abort.abort();
      });
      await new Promise<void>((resolve) => {
        settled = resolve;
      });
      last.cancel();
    },
  };
}

const ends = {
  timeout: "it did not end in time and was killed",
  bytes: `it printed more than ${outputBytesMax / 1024} KiB and was killed`,
  signal: "the daemon ended before it did",
} as const;

/** For commands that want no JSON. No value can hold a NUL, which ends it. */
function variablesOf(content: string): Readonly<Record<string, string>> {
  const { id, event, text, alert } = JSON.parse(content) as {
    readonly id: number;
    readonly event: string;
    readonly text: string;
    readonly alert: Readonly<Record<string, string | null>>;
  };
  const values = {
    ID: String(id),
    EVENT: event,
    TEXT: text,
    KIND: alert["kind"],
    HOME: alert["home"],
    JOB_ID: alert["job_id"],
    MESSAGE: alert["message"],
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      `HERMES_SUPERVISOR_ALERT_${name}`,
      (value ?? "").replaceAll("\0", "").slice(0, 8192),
    ]),
  );
}
