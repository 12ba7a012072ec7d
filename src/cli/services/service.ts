import { createHash } from "node:crypto";

export const serviceKinds = ["systemd", "launchd", "s6"] as const;
export type ServiceKind = (typeof serviceKinds)[number];

/** What a service is to start, and as whom. All paths are absolute. */
export interface ServiceSpec {
  readonly name: string;
  /** Runs from the start of the machine, and not from the login of its user. */
  readonly isSystem: boolean;
  /** Null where the service manager runs as that user anyway. */
  readonly user: { readonly name: string; readonly home: string | null } | null;
  /** The node, this program and its arguments. */
  readonly command: readonly string[];
  readonly variables: ReadonlyMap<string, string>;
  readonly rootHome: string;
  readonly version: string;
}

export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

const mark = "hermes-supervisor checksum";

/** The text with its own checksum in a comment behind its `place`, so that a later version can tell whether anybody changed it. */
export function sealText(text: string, comment: (words: string) => string): string {
  return `${text}${comment(`${mark} ${checksum(text)}`)}\n`;
}

/** Whether it is as some version of this program wrote it. */
export function isSealed(text: string): boolean {
  const found = new RegExp(`^[^\\n]*${mark} ([0-9a-f]{64})[^\\n]*\\n$`, "mu").exec(text);
  return found !== null && found[1] === checksum(text.slice(0, found.index));
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
