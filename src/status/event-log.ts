import type { Clock, Timer } from "../system/clock.ts";
import { problem, type Reply, type Sink } from "./control-actions.ts";

export type EventKind = "run" | "slot" | "alert" | "config";

interface LoggedEvent {
  readonly number: number;
  readonly text: string;
}

/** The latest of what has happened, for those who follow it. Kept in memory, and of bounded size. */
export interface EventLog {
  add(kind: EventKind, data: unknown): void;
  /** A stream of what happens from now on; with the id of the last event that a reader has seen, also of what it has missed. */
  follow(lastEventId: string | null): Reply;
}

const eventsMax = 2000;
const charsMax = 4 << 20;
/** A reader that is so far behind is let go: it can come back and resume. */
const waitingBytesMax = 1 << 20;
/** So that both sides notice when the other one is gone. */
const beatMs = 15_000;
const retryMs = 2000;

/** `epoch` tells the events of this daemon from those of one before. */
export function createEventLog(clock: Clock, epoch: string): EventLog {
  const events: LoggedEvent[] = [];
  const readers = new Set<Sink>();
  let chars = 0;
  let last = 0;
  let beat: Timer | null = null;

  function pass(sink: Sink, text: string): void {
    sink.write(text);
    if (sink.waitingBytes() > waitingBytesMax) sink.drop();
  }

  function armBeat(): void {
    if (beat !== null || readers.size === 0) return;
    beat = clock.after(beatMs, () => {
      beat = null;
      for (const reader of [...readers]) pass(reader, ":\n\n");
      armBeat();
    });
  }

  /** What a reader has missed, the word about a gap first; or null for an id that is none of ours. */
  function missed(lastEventId: string): string | null {
    const [, era, digits] = /^([0-9a-z]{1,20})-(\d{1,15})$/u.exec(lastEventId) ?? [];
    if (era === undefined || digits === undefined) return null;
    const seen = era === epoch ? Number(digits) : 0;
    const from = Math.min(seen, last);
    const kept = events.filter(({ number }) => number > from).map(({ text }) => text);
    const first = events[0]?.number ?? last + 1;
    const message =
      era !== epoch
        ? "The daemon has been started again since: what it said before is gone, here is what it has said so far"
        : seen > last
          ? "There is no such event yet"
          : from + 1 < first
            ? `${first - from - 1} events are too old to be kept, here is what is left`
            : null;
    const gap = message === null ? "" : frame("gap", { message }, `${epoch}-${first - 1}`);
    return gap + kept.join("");
  }

  return {
    add(kind, data) {
      last += 1;
      const text = frame(kind, data, `${epoch}-${last}`);
      events.push({ number: last, text });
      chars += text.length;
      while (events.length > eventsMax || chars > charsMax) chars -= events.shift()?.text.length ?? chars;
      for (const reader of [...readers]) pass(reader, text);
    },
    follow(lastEventId) {
      const before = lastEventId === null || lastEventId === "" ? "" : missed(lastEventId);
      if (before === null) return problem(400, `Last-Event-ID is not one of ours, expected one like ${epoch}-${last}`);
      return {
        status: 200,
        type: "text/event-stream; charset=utf-8",
        open(sink) {
          // The id of now, so that a reader can also resume from before its first event.
          sink.write(`retry: ${retryMs}\n${before === "" ? `id: ${epoch}-${last}\n` : ""}\n${before}`);
          readers.add(sink);
          armBeat();
          return () => {
            readers.delete(sink);
            if (readers.size > 0) return;
            beat?.cancel();
            beat = null;
          };
        },
      };
    },
  };
}

function frame(kind: EventKind | "gap", data: unknown, id: string): string {
  return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
