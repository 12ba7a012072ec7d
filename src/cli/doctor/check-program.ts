import {
  candidateKey,
  checkoutVariable,
  type HermesCandidate,
  hermesCandidates,
  parseProbe,
} from "../../homes/find-hermes.ts";
import { cannotBeServed } from "../../status/view.ts";
import { packageRoot } from "../../system/package-root.ts";
import { readStatus } from "../commands/status.ts";
import { whyNoHome } from "../home-faults.ts";
import { shellWord } from "../services/service-place.ts";
import { type Finding, fault, fine, type Patient, warning } from "./finding.ts";

const probeTimeoutMs = 60_000;

export function checkProgram({ parts, host, daemon, reader }: Patient): readonly Finding[] {
  const { version } = parts;
  const findings = [fine("version", `hermes-supervisor ${version} on Node ${host.nodeVersion}`)];
  if (!daemon.running) {
    findings.push(warning("daemon", "No daemon runs, so no job will", "hermes-supervisor start"));
  } else if (daemon.version !== null && daemon.version !== version) {
    const message = `The daemon (process ${daemon.pid ?? "unknown"}) is version ${daemon.version}, this program ${version}`;
    findings.push(warning("daemon", message, `kill -TERM ${daemon.pid ?? ""}, and start it again: its runs go on`));
  } else
    findings.push(fine("daemon", daemon.pid === null ? "The daemon runs" : `The daemon runs as process ${daemon.pid}`));
  const { error } = reader.host();
  if (error === null) findings.push(fine("config", "The host's configuration is valid"));
  else findings.push(fault("config", error.message, "hermes-supervisor config check"));
  return findings;
}

export function checkHomeStates({ homes, parts, reader }: Patient): readonly Finding[] {
  if (homes.length === 0) {
    return [fault("home", whyNoHome(parts, reader), "hermes-supervisor --home DIR doctor")];
  }
  return homes.flatMap((home): readonly Finding[] => {
    const findings: Finding[] = [];
    const { name } = home;
    const invalid = home.jobs.filter((job) => job.fault !== null);
    if (home.configError !== null) {
      findings.push(fault("config", home.configError.message, "hermes-supervisor config check", name));
    }
    for (const text of home.hermes.warnings)
      findings.push(warning("config", text, `edit ${shellWord(home.configPath)}`, name));
    if (cannotBeServed(home.state)) {
      const remedy =
        home.state === "degraded"
          ? "mend what it says; it is taken up by itself"
          : "npm install --global hermes-supervisor@latest";
      findings.push(fault("home", `It is ${home.state}: ${home.reason ?? "no reason is known"}`, remedy, name));
    } else if (home.state === "paused") {
      const holds: Readonly<Record<string, string>> = {
        estop: "hermes resume",
        drain: `rm ${shellWord(`${home.path}/.drain_request.json`)}`,
        parked: `hermes -p ${name} gateway start`,
        disk: "make room on the disk",
      };
      const reason = home.reason ?? "";
      findings.push(
        warning("home", `Nothing starts in it: ${reason}`, holds[reason] ?? "hermes-supervisor status", name),
      );
    } else
      findings.push(
        fine("home", `${home.jobs.length} ${home.jobs.length === 1 ? "job" : "jobs"} at ${home.path}`, name),
      );
    if (invalid.length > 0) {
      const [first] = invalid;
      const message = `${invalid.length} of its jobs cannot run, such as "${first?.name ?? ""}": ${first?.fault ?? ""}`;
      findings.push(warning("home", message, "hermes-supervisor jobs", name));
    }
    return findings;
  });
}

/**
 * The Hermes of each home, as a daemon was told it: a shell may have another `PATH` than the daemon's, which is what counts. Where
 * none has asked yet, it is asked here.
 */
export async function checkHermes(patient: Patient): Promise<readonly Finding[]> {
  const { reader, homes, parts } = patient;
  const known = new Map((await readStatus(parts, reader)).homes.map((home) => [home.name, home.hermes]));
  const asked = new Map<string, string | null>();
  const findings: Finding[] = [];
  for (const home of homes) {
    const { name } = home;
    const found = known.get(name) ?? null;
    if (found !== null) {
      findings.push(fine("hermes", `Hermes ${found.version}, run by ${found.python}`, name));
      continue;
    }
    const candidates = hermesCandidates(parts.system, home.places).filter(
      ({ python }) => parts.system.files.stat(python)?.kind === "file",
    );
    const answers: string[] = [];
    for (const candidate of candidates) {
      const key = candidateKey(candidate);
      if (!asked.has(key)) asked.set(key, await probe(patient, candidate));
      const version = asked.get(key) ?? null;
      if (version !== null) answers.push(`Hermes ${version}, run by ${candidate.python}`);
    }
    const [answer] = answers;
    if (answer !== undefined) findings.push(fine("hermes", answer, name));
    else {
      const prompts = home.jobs.filter((job) => job.kind === "prompt" && job.enabled && job.fault === null).length;
      const where = home.places.named ?? candidates[0]?.python;
      const what = where === undefined ? "No installed Hermes was found" : `"${where}" runs no Hermes`;
      const remedy = "name its interpreter: hermes.python in config.yaml, or HERMES_SUPERVISOR_PYTHON";
      const needed = prompts === 1 ? "a prompt job needs it" : `${prompts} prompt jobs need it`;
      const consequence = prompts === 0 ? "; script jobs run without it" : `, and ${needed}`;
      findings.push((prompts === 0 ? warning : fault)("hermes", `${what}${consequence}`, remedy, name));
    }
  }
  return findings;
}

/** The version that this interpreter's Hermes answers, from an empty home: loading Hermes makes files in its own. */
async function probe({ parts, host }: Patient, candidate: HermesCandidate): Promise<string | null> {
  const { files, random } = parts.system;
  const folder = `${parts.environment["TMPDIR"] || "/tmp"}/hermes-supervisor-${random.token(8)}`;
  files.makeFolder(`${folder}/home`, 0o700, true);
  try {
    files.create(`${folder}/question.json`, '{"ask": "probe"}', 0o600);
    const worker = `${packageRoot()}/worker/hermes_worker.py`;
    const words = [worker, "ask", `${folder}/question.json`, `${folder}/answer.json`];
    const source = candidate.checkout === null ? {} : { [checkoutVariable]: candidate.checkout };
    const variables = { HERMES_HOME: `${folder}/home`, HERMES_DISABLE_LAZY_INSTALLS: "1", ...source };
    const answer = await host.run(candidate.python, words, probeTimeoutMs, variables);
    if (answer?.exitCode !== 0 || files.stat(`${folder}/answer.json`) === null) return null;
    return parseProbe(candidate, "", JSON.parse(files.readText(`${folder}/answer.json`)))?.hermes.version ?? null;
  } finally {
    files.removeFolder(folder);
  }
}
