import { strip } from "./python-text.ts";

/** Platforms that only answer: nothing can be sent to a chat of theirs. */
const answeringPlatforms: ReadonlySet<string> = new Set(["api_server"]);

/**
 * Where Hermes would send a result of the job with this record, in words for people, or null where it sends nothing and calls
 * that no fault: to `local`, and to an `origin` that the job does not have when no home channel is known either.
 */
export function deliveryTarget(record: unknown, forFailure: boolean, hasHomeChannel: boolean): string | null {
  const { deliver, failure_deliver: onFailure, origin } = asRecord(record);
  const hasOwn = forFailure && onFailure !== null && onFailure !== undefined && strip(String(onFailure)) !== "";
  const target = normalizeDeliver(hasOwn ? onFailure : deliver);
  if (target === "local") return null;
  if (target !== "origin") return target;
  const { platform, chat_id: chat } = asRecord(origin);
  const isChat = Boolean(platform) && Boolean(chat) && !answeringPlatforms.has(String(platform).toLowerCase());
  if (isChat) return `${String(platform)}:${String(chat)}`;
  return hasHomeChannel ? "origin" : null;
}

/** Hermes' `_normalize_deliver_value`: lists come from other clients and from editing by hand. */
function normalizeDeliver(deliver: unknown): string {
  if (deliver === null || deliver === undefined || deliver === "") return "local";
  if (!Array.isArray(deliver)) return String(deliver);
  const parts = deliver.map((part) => strip(String(part))).filter((part) => part !== "");
  return parts.length === 0 ? "local" : parts.join(",");
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
