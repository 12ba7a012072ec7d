import type { DatabaseSync } from "node:sqlite";
import type { AlertKind } from "../core/alert-kinds.ts";
import { alertKey, type OpenAlert } from "../core/alerts.ts";
import type { Notice } from "../core/notices.ts";
import { fromMicroseconds, orNull, type Row, toMicroseconds } from "./slots.ts";

/** What people were told of, and what they are still to be told. */
export interface AlertLedger {
  openAlerts(): readonly OpenAlert[];
  raiseAlert(alert: OpenAlert): void;
  clearAlert(alert: OpenAlert): void;
  addNotice(notice: Omit<Notice, "id">): void;
  /** The oldest first. */
  notices(): readonly Notice[];
  countNotices(): number;
  /** Written before each try, so that one that dies over it is counted. */
  tryNotice(id: number, attempts: number, retryAtMs: number): void;
  deleteNotice(id: number): void;
}

type AlertRow = Row<"kind" | "home" | "job_id" | "detail" | "message" | "since_us" | "raised_us">;
type NoticeRow = Row<"id" | "notifier" | "content" | "queued_us" | "attempts" | "retry_us">;

export function createAlertLedger(database: DatabaseSync): AlertLedger {
  const readAlerts = database.prepare("SELECT * FROM alert ORDER BY raised_us");
  const insertAlert = database.prepare("INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  const deleteAlert = database.prepare("DELETE FROM alert WHERE key = ?");
  const insertNotice = database.prepare(
    "INSERT INTO notice (notifier, content, queued_us, attempts, retry_us) VALUES (?, ?, ?, ?, ?)",
  );
  const readNotices = database.prepare("SELECT * FROM notice ORDER BY id");
  const count = database.prepare("SELECT count(*) AS n FROM notice");
  const updateNotice = database.prepare("UPDATE notice SET attempts = ?, retry_us = ? WHERE id = ?");
  const removeNotice = database.prepare("DELETE FROM notice WHERE id = ?");
  for (const statement of [readAlerts, readNotices]) statement.setReadBigInts(true);

  return {
    openAlerts: () =>
      readAlerts.all().map((row: AlertRow) => ({
        kind: String(row.kind) as AlertKind,
        home: orNull(row.home, String),
        jobId: orNull(row.job_id, String),
        detail: String(row.detail),
        message: String(row.message),
        sinceMs: orNull(row.since_us, fromMicroseconds),
        raisedAtMs: fromMicroseconds(row.raised_us),
        goneSinceMs: null,
      })),
    raiseAlert(alert) {
      const { kind, home, jobId, detail, message, sinceMs, raisedAtMs } = alert;
      const since = orNull(sinceMs, toMicroseconds);
      insertAlert.run(alertKey(alert), kind, home, jobId, detail, message, since, toMicroseconds(raisedAtMs));
    },
    clearAlert: (alert) => void deleteAlert.run(alertKey(alert)),
    addNotice({ notifier, content, queuedAtMs, attempts, retryAtMs }) {
      insertNotice.run(notifier, content, toMicroseconds(queuedAtMs), attempts, toMicroseconds(retryAtMs));
    },
    notices: () =>
      readNotices.all().map((row: NoticeRow) => ({
        id: Number(row.id),
        notifier: String(row.notifier),
        content: String(row.content),
        queuedAtMs: fromMicroseconds(row.queued_us),
        attempts: Number(row.attempts),
        retryAtMs: fromMicroseconds(row.retry_us),
      })),
    countNotices: () => Number((count.get() as Row<"n"> | undefined)?.n ?? 0),
    tryNotice: (id, attempts, retryAtMs) => void updateNotice.run(attempts, toMicroseconds(retryAtMs), id),
    deleteNotice: (id) => void removeNotice.run(id),
  };
}

/** For a ledger of a layout before there were alerts, which is only read. */
export function noAlerts(): AlertLedger {
  const none = (): void => undefined;
  return {
    openAlerts: () => [],
    raiseAlert: none,
    clearAlert: none,
    addNotice: none,
    notices: () => [],
    countNotices: () => 0,
    tryNotice: none,
    deleteNotice: none,
  };
}
