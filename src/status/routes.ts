import type { ControlActions, Reply } from "./control-actions.ts";
import type { ShapeName } from "./shapes.ts";

export interface Parameter {
  readonly name: string;
  readonly about: string;
  readonly type: "string" | "integer" | "date-time" | "boolean";
}

/** What a request said beside its method and path. */
export interface RouteRequest {
  /** By name, the parts of the path that a template leaves open. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly lastEventId: string | null;
  /** Whether nobody is there any more to take the answer. */
  readonly isGone: () => boolean;
}

/** One address of the control socket. The server finds its way by these, and the description is made from them. */
export interface Route {
  readonly method: "GET" | "POST";
  /** `{name}` stands for one part. */
  readonly path: string;
  readonly about: string;
  readonly query?: readonly Parameter[];
  /** The name and meaning of what the body of a request may say. */
  readonly body?: readonly Parameter[];
  /** By status. */
  readonly answers: Readonly<Record<number, ShapeName | "text/plain" | "text/event-stream" | "application/json">>;
  act(actions: ControlActions, request: RouteRequest): Reply | Promise<Reply>;
}

const home: Parameter = { name: "home", about: "Only of this home", type: "string" };
const job: Parameter = { name: "job", about: "Only of the job with this id", type: "string" };
const since: Parameter = { name: "since", about: "Only from this time on", type: "date-time" };
const limit = (usual: number): Parameter => ({
  name: "limit",
  about: `How many at most: ${usual} unless given, 0 for all. More than 1000 are refused`,
  type: "integer",
});
const now: Parameter = { name: "now", about: "Skips the asking and kills at once", type: "boolean" };

const read = (name: string, about: string, shape: ShapeName, query: readonly Parameter[] = []): Route => ({
  method: "GET",
  path: `/v1/${name}`,
  about,
  query,
  answers: query.length === 0 ? { 200: shape } : { 200: shape, 400: "Problem" },
  act: (actions, { query: wanted, isGone }) => actions.read(name, wanted, isGone),
});

export const routes: readonly Route[] = [
  {
    method: "GET",
    path: "/health",
    about:
      "200 if all is well; 503, with the reasons, if an enabled job is overdue beyond its grace or a home cannot be served",
    answers: { 200: "Health", 503: "Health" },
    act: (actions) => actions.health(),
  },
  {
    method: "GET",
    path: "/metrics",
    about: "Metrics for Prometheus",
    answers: { 200: "text/plain" },
    act: (actions) => actions.metrics(),
  },
  {
    method: "GET",
    path: "/openapi.json",
    about: "This description",
    answers: { 200: "application/json" },
    act: (actions) => actions.description(),
  },
  read("status", "The daemon, homes, open runs and alerts", "Status"),
  read("config", "What is in force of the configuration, each setting with its source", "Config"),
  read("homes", "The homes alone", "Homes"),
  read("jobs", "Every job", "Jobs", [home, job]),
  read("runs", "The history of runs, the newest claim first", "Runs", [
    home,
    job,
    { name: "state", about: "Only in this state", type: "string" },
    since,
    limit(50),
  ]),
  read("slots", "What became of each scheduled instant, the latest first", "Slots", [home, job, since, limit(200)]),
  read("next", "The coming occurrences", "Next", [
    home,
    job,
    { name: "count", about: "How many of each job: 5 where one is named, else 1", type: "integer" },
    { name: "at", about: "After this time instead of now", type: "date-time" },
  ]),
  {
    method: "GET",
    path: "/v1/runs/{id}",
    about: "One run",
    answers: { 200: "OneRun", 404: "Problem" },
    act: (actions, { path }) => actions.run(path["id"] ?? ""),
  },
  {
    method: "GET",
    path: "/v1/runs/{id}/log",
    about: "What the run printed",
    query: [
      { name: "follow", about: "Goes on until the run has ended", type: "boolean" },
      { name: "tail", about: "Only the last lines, so many", type: "integer" },
    ],
    answers: { 200: "text/plain", 400: "Problem", 404: "Problem", 503: "Problem" },
    act: (actions, { path, query }) => actions.log(path["id"] ?? "", query),
  },
  {
    method: "GET",
    path: "/v1/requests/{id}",
    about: "What became of a request for a run",
    answers: { 200: "Request", 404: "Problem" },
    act: (actions, { path }) => actions.request(path["id"] ?? ""),
  },
  {
    method: "POST",
    path: "/v1/jobs/{home}/{job}/run",
    about: "Runs a job now. It never moves its schedule",
    answers: { 201: "Started", 202: "Waiting", 404: "Problem", 409: "Problem", 503: "Problem" },
    act: (actions, { path }) => actions.runJob(path["home"] ?? "", path["job"] ?? ""),
  },
  {
    method: "POST",
    path: "/v1/runs/{id}/stop",
    about: "Stops a run: 200 if it has ended before, 202 if it is being stopped",
    query: [now],
    body: [now],
    answers: { 200: "OneRun", 202: "OneRun", 400: "Problem", 404: "Problem" },
    act: (actions, { path, query, body }) => {
      const asked = query.get("now");
      return actions.stopRun(path["id"] ?? "", asked === "1" || asked === "true" || body["now"] === true);
    },
  },
  {
    method: "GET",
    path: "/v1/events",
    about:
      "Server-sent events of the kinds run, slot, alert and config. Last-Event-ID resumes; where it is too old, an event gap says so",
    answers: { 200: "text/event-stream", 400: "Problem", 503: "Problem" },
    act: (actions, { lastEventId }) => actions.events(lastEventId),
  },
];

/** The route that a path leads to with each of its methods, and the parts that its template leaves open. */
export function findRoutes(parts: readonly string[]): {
  readonly routes: readonly Route[];
  readonly path: Readonly<Record<string, string>>;
} {
  const found = routes.filter((route) => {
    const template = route.path.slice(1).split("/");
    return template.length === parts.length && template.every((part, at) => part.startsWith("{") || part === parts[at]);
  });
  const template = found[0]?.path.slice(1).split("/") ?? [];
  const named = template.flatMap((part, at): [string, string][] =>
    part.startsWith("{") ? [[part.slice(1, -1), parts[at] ?? ""]] : [],
  );
  return { routes: found, path: Object.fromEntries(named) };
}
