/** An answer of the daemon: a status and a JSON document. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** An answer that is no JSON, whole in memory. */
export interface TextAnswer {
  readonly status: 200;
  readonly type: string;
  readonly text: string;
}

/** An answer in parts, none of which takes long to write: the next one follows when the reader has taken the last. */
export interface PartsAnswer {
  readonly status: 200;
  readonly type: string;
  readonly parts: readonly Uint8Array[];
}

/** Where a stream goes. */
export interface Sink {
  /** False when the reader is behind: then `act` of `drained` is called once it has caught up. */
  write(part: Uint8Array | string): boolean;
  drained(act: () => void): void;
  /** What was written and the reader has not taken yet. */
  waitingBytes(): number;
  end(): void;
  /** Breaks off, with what was not taken. */
  drop(): void;
}

/** An answer that is written while it is made. */
export interface StreamAnswer {
  readonly status: 200;
  readonly type: string;
  /** Begins to write; what it returns is called once, when the stream has ended or its reader is gone. */
  readonly open: (sink: Sink) => () => void;
}

export type Reply = Answer | TextAnswer | PartsAnswer | StreamAnswer;

/** What the control socket can ask of the daemon. Each is answered from memory or by a few queries: none waits for a run or a lock. */
export interface ControlActions {
  health(): Answer | Promise<Answer>;
  metrics(): Promise<TextAnswer>;
  /** The OpenAPI document. */
  description(): TextAnswer;
  /** `name` is one of `status`, `config`, `homes`, `jobs`, `runs`, `slots`, `next`. What takes long is given up once the asker is gone. */
  read(name: string, query: URLSearchParams, isGone: () => boolean): Reply | Promise<Reply>;
  run(runId: string): Answer;
  log(runId: string, query: URLSearchParams): Reply;
  request(id: string): Answer;
  runJob(home: string, job: string): Answer | Promise<Answer>;
  stopRun(runId: string, now: boolean): Answer | Promise<Answer>;
  events(lastEventId: string | null): Reply;
}

export function problem(status: number, detail: string): Answer {
  return { status, body: { type: "about:blank", title: titles[status] ?? "Error", status, detail } };
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  408: "Request timeout",
  409: "Conflict",
  413: "Too large",
  431: "Header too large",
  500: "Internal error",
  503: "Unavailable",
};
