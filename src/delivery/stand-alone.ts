import type { Delivery, SeenDelivery } from "../core/delivery.ts";

/** What became of a question to the worker. */
export type WorkerAnswer =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly isUnasked?: true };

/** Asks Hermes of the delivery's home in a process of its own. Never rejects. */
export type AskWorker = (
  delivery: Delivery,
  question: { readonly ask: string } & Readonly<Record<string, unknown>>,
) => Promise<WorkerAnswer>;

/** The words that Hermes found for a failure; null where people were told of the same one not long ago. */
export interface Notice {
  readonly text: string | null;
  readonly incident: string | null;
}

/** Deliveries that processes of our own see to. They are known to this daemon only: nothing of them outlives it. */
export interface StandAlone {
  /** How many processes are at it. */
  running(): number;
  put(delivery: Delivery): void;
  look(delivery: Delivery): SeenDelivery;
  /** Has Hermes put a failure into words; null until it has, and then what it said, or that it could not. */
  compose(delivery: Delivery): Notice | "failed" | null;
  clear(delivery: Delivery): void;
}

/** `ended` is called when a process has ended, with the run whose result it saw to. */
export function createStandAlone(ask: AskWorker, ended: (runId: string) => void): StandAlone {
  const sent = new Map<string, SeenDelivery>();
  const composed = new Map<string, Notice | "failed" | null>();
  let running = 0;

  function begin(
    delivery: Delivery,
    question: { readonly ask: string } & Readonly<Record<string, unknown>>,
    end: (answer: WorkerAnswer) => void,
  ): void {
    running += 1;
    void ask(delivery, question).then((answer) => {
      running -= 1;
      end(answer);
      ended(delivery.runId);
    });
  }

  return {
    running: () => running,
    put(delivery) {
      const { runId, content, forFailure, incident } = delivery;
      const job = parseRecord(delivery.record);
      if (job === null) {
        sent.set(runId, {
          kind: "ended",
          event: "fail",
          error: "The job's record is no JSON, so Hermes cannot be given it",
        });
        return;
      }
      sent.set(runId, { kind: "taken", alive: true });
      begin(delivery, { ask: "deliver", job, content, for_failure: forFailure, incident }, (answer) =>
        sent.set(runId, seenOf(answer)),
      );
    },
    look: ({ runId }) => sent.get(runId) ?? { kind: "taken", alive: false },
    compose(delivery) {
      const { runId, content } = delivery;
      const known = composed.get(runId);
      if (known !== undefined) {
        if (known !== null) composed.delete(runId);
        return known;
      }
      const job = parseRecord(delivery.record);
      if (job === null) return "failed";
      composed.set(runId, null);
      begin(delivery, { ask: "failure", job, error: content }, (answer) => composed.set(runId, noticeOf(answer)));
      return null;
    },
    clear({ runId }) {
      sent.delete(runId);
      composed.delete(runId);
    },
  };
}

function seenOf(answer: WorkerAnswer): SeenDelivery {
  // A process that came to no answer may have sent it all the same.
  if (!answer.ok)
    return answer.isUnasked
      ? { kind: "unsent", error: answer.error }
      : { kind: "ended", event: "lose", error: answer.error };
  const { error } = answer.answer;
  if (error === null) return { kind: "ended", event: "deliver", error: null };
  if (typeof error === "string") return { kind: "ended", event: "fail", error };
  return { kind: "ended", event: "lose", error: "Hermes did not say whether it was sent" };
}

function noticeOf(answer: WorkerAnswer): Notice | "failed" {
  if (!answer.ok) return "failed";
  const { deliver, incident } = answer.answer;
  if (deliver !== null && typeof deliver !== "string") return "failed";
  return { text: deliver, incident: typeof incident === "string" ? incident : null };
}

/** Null for what is no JSON. Numbers of a record, such as a chat's, may be larger than ours can be: they go on as they are written. */
function parseRecord(text: string): unknown {
  const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
  const keepNumber = (_key: string, value: unknown, context: { readonly source?: string }): unknown =>
    typeof value === "number" && context.source !== undefined ? rawJSON(context.source) : value;
  try {
    return JSON.parse(text, keepNumber as (key: string, value: unknown) => unknown);
  } catch {
    // Python writes numbers that JSON does not have.
    return null;
  }
}
