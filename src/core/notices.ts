/** One alert's coming up or being over, on its way to one of those who want to be told. */
export interface Notice {
  readonly id: number;
  /** Names whom it is for; it is dropped when nobody of that name is there any more. */
  readonly notifier: string;
  readonly content: string;
  readonly queuedAtMs: number;
  readonly attempts: number;
  /** Not to be tried before. */
  readonly retryAtMs: number;
}

/** Beyond these the oldest are dropped: who was not reached for so long looks at `status`. */
export const noticesMax = 200;
const lifeMs = 86_400_000;
const backoffMs = [5000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000];

/** How long a notice rests after so many tries that came to nothing. */
export function noticeBackoffMs(attempts: number): number {
  return backoffMs[Math.min(Math.max(attempts, 1), backoffMs.length) - 1] ?? 0;
}

export interface NoticePlan {
  /** One at a time for each who is told, the oldest first, so that what is over never comes before what came up. */
  readonly send: readonly Notice[];
  readonly drop: readonly { readonly notice: Notice; readonly why: string }[];
  /** When to look again, or null. */
  readonly wakeAtMs: number | null;
}

/** `busy` are those who are being told something at the moment. */
export function planNotices(
  notices: readonly Notice[],
  notifiers: ReadonlySet<string>,
  busy: ReadonlySet<string>,
  nowMs: number,
): NoticePlan {
  const drop: { readonly notice: Notice; readonly why: string }[] = [];
  const left: Notice[] = [];
  const excess = notices.length - noticesMax;
  for (const [index, notice] of notices.entries()) {
    if (!notifiers.has(notice.notifier)) drop.push({ notice, why: "alerts.notify does not name it any more" });
    else if (busy.has(notice.notifier)) left.push(notice);
    else if (index < excess) drop.push({ notice, why: `more than ${noticesMax} wait` });
    else if (nowMs - notice.queuedAtMs >= lifeMs) drop.push({ notice, why: "it could not be sent for a day" });
    else left.push(notice);
  }
  const send: Notice[] = [];
  const seen = new Set(busy);
  let wakeAtMs: number | null = null;
  for (const notice of left) {
    if (seen.has(notice.notifier)) continue;
    seen.add(notice.notifier);
    // A wait that is longer than any of ours was set before the clock was.
    const isDue = notice.retryAtMs <= nowMs || notice.retryAtMs - nowMs > 2 * (backoffMs.at(-1) ?? 0);
    if (isDue) send.push(notice);
    else wakeAtMs = Math.min(wakeAtMs ?? Number.POSITIVE_INFINITY, notice.retryAtMs);
  }
  return { send, drop, wakeAtMs };
}
