import { isZoneName } from "../core/zone.ts";

/** What a home's Hermes `config.yaml` and variables say, as far as it concerns us, with Hermes' own precedence. */
export interface HermesSettings {
  /** Null: unbounded, which Hermes means by 0. */
  readonly maxParallelJobs: number | null;
  readonly scriptTimeoutMs: number;
  /** How many documents of a job are kept; 0 or less keeps all. */
  readonly outputRetention: number;
  /** An IANA name, or null for the server's own. */
  readonly timezone: string | null;
  /** Empty for the built-in ticker. */
  readonly cronProvider: string;
  /** False drops slots that are later than their grace. */
  readonly catchUpMissed: boolean;
  /** The profile has asked to be left alone by the host's gateway. */
  readonly standalone: boolean;
  /** `TERMINAL_*` variables that the file sets explicitly; Hermes puts them into every child's environment. */
  readonly terminal: Readonly<Record<string, string>>;
  /** By setting: the variable, the key or `default`. */
  readonly sources: Readonly<Record<"maxParallelJobs" | "scriptTimeoutMs" | "outputRetention" | "timezone", string>>;
  readonly warnings: readonly string[];
}

const fallback = { maxParallelJobs: 4, scriptTimeoutMs: 3_600_000, outputRetention: 50 };

const terminalKeys = [
  "modal_mode",
  "degraded_mode",
  "cwd",
  "temp_dir",
  "timeout",
  "lifetime_seconds",
  "docker_image",
  "docker_forward_env",
  "singularity_image",
  "modal_image",
  "daytona_image",
  "vercel_runtime",
  "vercel_image",
  "ssh_host",
  "ssh_user",
  "ssh_port",
  "ssh_key",
  "container_cpu",
  "container_memory",
  "container_disk",
  "container_persistent",
  "docker_volumes",
  "docker_env",
  "docker_mount_cwd_to_workspace",
  "docker_network",
  "docker_extra_args",
  "docker_shm_size",
  "docker_run_as_host_user",
  "docker_snap_compat",
  "docker_persist_across_processes",
  "docker_shared_container_key",
  "docker_orphan_reaper",
  "sandbox_dir",
  "persistent_shell",
];

/** `hermes` is the file as plain data, whatever it holds; `variables` are those of the daemon with the home's `.env` over them. */
export function resolveHermesSettings(
  hermes: unknown,
  variables: Readonly<Record<string, string | undefined>>,
): HermesSettings {
  const root = asRecord(hermes);
  const cron = asRecord(root["cron"]);
  const warnings: string[] = [];

  function expand(value: unknown): unknown {
    if (typeof value !== "string") return value;
    return value.replace(/\$\{([^}]+)\}/g, (reference, inner: string) => {
      const name = inner.trim().replace(/^env:\s*/, "");
      return variables[name] ?? reference;
    });
  }

  /** The first source that gives a usable value. One that cannot be used is said and passed over, as Hermes does. */
  function first<T>(
    candidates: readonly (readonly [source: string, value: unknown])[],
    read: (value: unknown) => T | "absent" | "unusable",
    expected: string,
    last: T,
  ): readonly [T, string] {
    for (const [source, raw] of candidates) {
      if (raw === undefined || raw === null || (typeof raw === "string" && raw.trim() === "")) continue;
      const value = read(expand(raw));
      if (value === "unusable")
        warnings.push(`${source} is ${JSON.stringify(raw)}, expected ${expected}; it is passed over`);
      else if (value !== "absent") return [value, source];
    }
    return [last, "default"];
  }

  const [maxParallelJobs, maxParallelSource] = first<number | null>(
    [
      ["HERMES_CRON_MAX_PARALLEL", variables["HERMES_CRON_MAX_PARALLEL"]],
      ["HERMES_CRON_MAX_WORKERS", variables["HERMES_CRON_MAX_WORKERS"]],
      ["cron.max_parallel_jobs", cron["max_parallel_jobs"]],
    ],
    (value) => {
      const number = pythonInteger(value);
      if (number === null || number < 0) return "unusable";
      return number === 0 ? null : number;
    },
    "a whole number from 0, which means unbounded",
    fallback.maxParallelJobs,
  );
  const [scriptTimeoutMs, scriptTimeoutSource] = first<number>(
    [
      ["HERMES_CRON_SCRIPT_TIMEOUT", variables["HERMES_CRON_SCRIPT_TIMEOUT"]],
      ["cron.script_timeout_seconds", cron["script_timeout_seconds"]],
    ],
    (value) => {
      const number = pythonFloat(value);
      if (number === null) return "unusable";
      const seconds = Math.trunc(number);
      return seconds > 0 ? seconds * 1000 : "absent";
    },
    "a number of seconds",
    fallback.scriptTimeoutMs,
  );
  const [outputRetention, outputRetentionSource] = first<number>(
    [["cron.output_retention", cron["output_retention"]]],
    (value) => pythonInteger(value) ?? "unusable",
    "a whole number",
    fallback.outputRetention,
  );
  const [timezone, timezoneSource] = resolveTimezone(variables["HERMES_TIMEZONE"], expand(root["timezone"]), warnings);
  const provider = expand(cron["provider"]);
  return {
    maxParallelJobs,
    scriptTimeoutMs,
    outputRetention,
    timezone,
    cronProvider: typeof provider === "string" ? provider.trim() : "",
    catchUpMissed: cron["catch_up_missed"] !== false,
    standalone: isTruthy(expand(asRecord(root["gateway"])["standalone"])),
    terminal: terminalVariables(asRecord(root["terminal"]), expand, variables["HOME"]),
    sources: {
      maxParallelJobs: maxParallelSource,
      scriptTimeoutMs: scriptTimeoutSource,
      outputRetention: outputRetentionSource,
      timezone: timezoneSource,
    },
    warnings,
  };
}

/**
 * Hermes' own settings that concern us, as they are shown. A time zone of null is the server's. `places` tells by key where one
 * stands in the home's file.
 */
export function shownHermesSettings(
  { maxParallelJobs, scriptTimeoutMs, outputRetention, timezone, sources }: HermesSettings,
  places: ReadonlyMap<string, string>,
) {
  const place = (source: string): string => places.get(source) ?? source;
  return [
    { key: "cron.max_parallel_jobs", value: maxParallelJobs, source: place(sources.maxParallelJobs) },
    { key: "cron.script_timeout_seconds", value: scriptTimeoutMs / 1000, source: place(sources.scriptTimeoutMs) },
    { key: "cron.output_retention", value: outputRetention, source: place(sources.outputRetention) },
    { key: "timezone", value: timezone, source: place(sources.timezone) },
  ];
}

/** A wrong name does not make Hermes look further: it falls back to the server's own zone. */
function resolveTimezone(
  variable: string | undefined,
  configured: unknown,
  warnings: string[],
): readonly [string | null, string] {
  const fromVariable = (variable ?? "").trim();
  const source = fromVariable === "" ? "timezone" : "HERMES_TIMEZONE";
  const name = fromVariable !== "" ? fromVariable : typeof configured === "string" ? configured.trim() : "";
  if (name === "") return [null, "default"];
  if (isZoneName(name)) return [name, source];
  warnings.push(`${source} is "${name}", expected an IANA name such as Europe/Berlin; the server's own zone is used`);
  return [null, source];
}

function terminalVariables(
  terminal: Readonly<Record<string, unknown>>,
  expand: (value: unknown) => unknown,
  home: string | undefined,
): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const key of ["backend", ...terminalKeys]) {
    if (!Object.hasOwn(terminal, key)) continue;
    const value = expand(terminal[key]);
    if (key === "cwd") {
      if ([".", "auto", "cwd"].includes(String(value ?? "").trim())) continue;
      if (typeof value === "string" && home !== undefined && terminal["backend"] !== "ssh") {
        variables["TERMINAL_CWD"] = value.replace(/^~(?=\/|$)/, () => home);
        continue;
      }
    }
    variables[key === "backend" ? "TERMINAL_ENV" : `TERMINAL_${key.toUpperCase()}`] = pythonText(value);
  }
  if (Object.hasOwn(variables, "TERMINAL_DOCKER_IMAGE")) variables["TERMINAL_DOCKER_IMAGE_PINNED"] = "1";
  return variables;
}

/** As Python's `str` prints it; lists and mappings as JSON. */
function pythonText(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function isTruthy(value: unknown): boolean {
  if (typeof value === "string") return ["1", "true", "yes", "on"].includes(value.trim().toLowerCase());
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function pythonInteger(value: unknown): number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") return Number.isFinite(value) ? Math.trunc(value) : null;
  if (typeof value !== "string" || !/^\s*[+-]?\d+(?:_\d+)*\s*$/.test(value)) return null;
  return Number(value.trim().replaceAll("_", ""));
}

function pythonFloat(value: unknown): number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "string" || !/^\s*[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(value)) return null;
  const number = Number(value.trim().replaceAll("_", ""));
  return Number.isFinite(number) ? number : null;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
