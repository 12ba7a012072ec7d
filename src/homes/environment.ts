import { createHmac } from "node:crypto";
import { type EnvFile, resolveEnvFile } from "./env-file.ts";

/** The variables of one home's runs. Values never go into a log, the ledger or a file; names, sources and hashes may. */
export interface EnvironmentSnapshot {
  readonly variables: Readonly<Record<string, string>>;
  readonly sources: Readonly<Record<string, VariableSource>>;
  /** Keyed with the installation's secret, so that a stored hash does not give a short value away. */
  readonly hashes: Readonly<Record<string, string>>;
  /** What the file said that is not used as it stands, in sentences without values. */
  readonly warnings: readonly string[];
}

export type VariableSource = "daemon" | "environment.pass" | ".env" | "supervisor";

const passed: ReadonlySet<string> = new Set([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "TMP",
  "TEMP",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "FTP_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
  "ftp_proxy",
  // Hermes' own settings of cron and of the host, which it reads from its process.
  "HERMES_TIMEZONE",
  "HERMES_MACHINE_ID",
  "HERMES_DISABLE_LAZY_INSTALLS",
  "HERMES_MANAGED",
  "HERMES_CONTAINER",
  "HERMES_SKIP_CHMOD",
  "HERMES_HOME_MODE",
  "HERMES_UID",
  "HERMES_GID",
]);
const passedPrefixes = ["LC_", "XDG_", "HERMES_CRON_"];

/** They belong to a conversation, a gateway or another run: no run gets them, whoever sets them. */
const neverPassed: ReadonlySet<string> = new Set(["HERMES_INTERACTIVE", "HERMES_GATEWAY_SESSION", "HERMES_EXEC_ASK"]);
const neverPassedPrefixes = ["HERMES_KANBAN_", "HERMES_SUPERVISOR_"];

/** Hermes sends such values in HTTP headers and takes out what is not ASCII, often pasted from a web page. */
const credentialName = /(?:_API_KEY|_TOKEN|_SECRET|_KEY)$/;

/**
 * What a run of the home at `homePath` gets: the allowed part of the daemon's own variables, then the home's `.env`, then
 * `HERMES_HOME`. `pass` holds names, or beginnings with a final `*`, that are allowed too. `daemonVariables` is only read.
 */
export function snapshotEnvironment(
  daemonVariables: Readonly<Record<string, string | undefined>>,
  pass: readonly string[],
  envFile: EnvFile | null,
  homePath: string,
  hashKey: Uint8Array | string,
): EnvironmentSnapshot {
  const variables = new Map<string, string>();
  const sources = new Map<string, VariableSource>();
  const warnings: string[] = [];

  function set(name: string, value: string, source: VariableSource): void {
    variables.set(name, value);
    sources.set(name, source);
  }

  for (const [name, value] of Object.entries(daemonVariables)) {
    if (value === undefined || isNeverPassed(name)) continue;
    if (passed.has(name) || passedPrefixes.some((prefix) => name.startsWith(prefix))) set(name, value, "daemon");
    else if (pass.some((pattern) => matches(name, pattern))) set(name, value, "environment.pass");
  }

  if (envFile !== null) {
    for (const line of envFile.badLines)
      warnings.push(`.env line ${line} is not understood and skipped, expected NAME=value`);
    for (const [name, value] of Object.entries(resolveEnvFile(envFile, Object.fromEntries(variables)))) {
      if (name.includes("=")) warnings.push(`.env sets a name with "=" in it, which no process can be given`);
      else if (name === "HERMES_HOME") {
        if (value !== homePath)
          warnings.push(".env sets HERMES_HOME to another folder; runs get the home they belong to");
      } else if (isNeverPassed(name)) warnings.push(`.env sets ${name}, which runs never get`);
      else set(name, value, ".env");
    }
  }
  set("HERMES_HOME", homePath, "supervisor");

  for (const [name, value] of variables) {
    // Only a whole look at the characters tells: a regular expression with a range would need the u flag for pairs.
    const ascii = [...value].filter((character) => character <= "\x7f").join("");
    if (!credentialName.test(name) || ascii === value) continue;
    variables.set(name, ascii);
    warnings.push(`${name} holds characters that are not ASCII; they are left out, as Hermes does`);
  }

  const sorted = [...variables].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    variables: Object.fromEntries(sorted),
    sources: Object.fromEntries(sorted.map(([name]) => [name, sources.get(name) ?? "daemon"])),
    hashes: hashVariables(Object.fromEntries(sorted), hashKey),
    warnings,
  };
}

/** A keyed hash of each value, by name. */
export function hashVariables(
  variables: Readonly<Record<string, string>>,
  hashKey: Uint8Array | string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, hash(hashKey, name, value)]));
}

/** The names whose values differ, came or went between two stored sets of hashes, sorted. */
export function changedVariables(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).sort();
}

/** The name goes in too, so that equal values under two names do not show as equal. */
function hash(key: Uint8Array | string, name: string, value: string): string {
  return createHmac("sha256", key).update(name).update("\0").update(value).digest("hex").slice(0, 24);
}

function isNeverPassed(name: string): boolean {
  return neverPassed.has(name) || neverPassedPrefixes.some((prefix) => name.startsWith(prefix));
}

function matches(name: string, pattern: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
