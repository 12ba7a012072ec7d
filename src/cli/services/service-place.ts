import { join } from "node:path";
import type { CommandParts } from "../command-parts.ts";
import { usage } from "../parse-time.ts";
import { formatLaunchdPlist } from "./launchd.ts";
import { s6Files } from "./s6.ts";
import type { ServiceFile, ServiceKind, ServiceSpec } from "./service.ts";
import { formatSystemdUnit } from "./systemd.ts";

/** Where a kind of service lies. */
export interface ServicePlace {
  /** The folder that the service manager reads. */
  readonly folder: string;
  /** All of the service's own files, the first of which stands for it. */
  readonly paths: readonly string[];
  /** A folder that is the service's alone. */
  readonly ownFolder: string | null;
}

/** Where s6 scanners look on the systems that have one. */
const s6Folders = ["/run/service", "/etc/services.d", "/etc/s6/sv", "/service"];

/** `to` names another folder than the usual. What is only to be shown needs no folder that is there. */
export function servicePlace(
  parts: Pick<CommandParts, "environment" | "system">,
  kind: ServiceKind,
  name: string,
  isSystem: boolean,
  to: string | null,
  isToShow = false,
): ServicePlace {
  const inUserHome = (path: string): string => {
    const { HOME: home } = parts.environment;
    if (home === undefined || home === "")
      throw usage("Cannot find the folder of services: HOME is not set, expected --to");
    return join(home, path);
  };
  switch (kind) {
    case "systemd": {
      const settings = parts.environment["XDG_CONFIG_HOME"];
      const ofUser = (): string => (settings?.startsWith("/") ? settings : inUserHome(".config"));
      const folder = to ?? (isSystem ? "/etc/systemd/system" : join(ofUser(), "systemd/user"));
      return { folder, paths: [join(folder, `${name}.service`)], ownFolder: null };
    }
    case "launchd": {
      const folder = to ?? (isSystem ? "/Library/LaunchDaemons" : inUserHome("Library/LaunchAgents"));
      return { folder, paths: [join(folder, `${name}.plist`)], ownFolder: null };
    }
    case "s6": {
      const folder = to ?? s6Folder(parts, isSystem ? s6Folders : [inUserHome("service")], isToShow);
      const own = join(folder, name);
      return { folder, paths: ["run", "finish", "notification-fd"].map((file) => join(own, file)), ownFolder: own };
    }
  }
}

function s6Folder({ system }: Pick<CommandParts, "system">, folders: readonly string[], isToShow: boolean): string {
  const found =
    folders.find((folder) => system.files.stat(folder)?.kind === "folder") ?? (isToShow ? folders[0] : undefined);
  if (found !== undefined) return found;
  throw usage(`Cannot find where s6 looks for services: none of ${folders.join(", ")} is there, expected --to`);
}

export function serviceFiles(
  parts: Pick<CommandParts, "environment">,
  kind: ServiceKind,
  spec: ServiceSpec,
  place: ServicePlace,
): readonly ServiceFile[] {
  const [path = ""] = place.paths;
  switch (kind) {
    case "systemd":
      return [{ path, text: formatSystemdUnit(spec), mode: 0o644 }];
    case "launchd": {
      const logs = spec.isSystem ? "/Library/Logs" : `${parts.environment["HOME"] ?? ""}/Library/Logs`;
      return [{ path, text: formatLaunchdPlist(spec, `${logs}/${spec.name}.log`), mode: 0o644 }];
    }
    case "s6":
      return s6Files(spec, place.ownFolder ?? place.folder);
  }
}

/** What is left for a person to do: a service is never started behind anybody's back. */
export function startingSteps(
  kind: ServiceKind,
  { isSystem, name }: ServiceSpec,
  place: ServicePlace,
): readonly string[] {
  const [path = ""] = place.paths;
  switch (kind) {
    case "systemd":
      return isSystem
        ? ["systemctl daemon-reload", `systemctl enable --now ${name}`]
        : ["systemctl --user daemon-reload", `systemctl --user enable --now ${name}`, "loginctl enable-linger"];
    case "launchd":
      return [`launchctl bootstrap ${isSystem ? "system" : "gui/$(id -u)"} ${shellWord(path)}`];
    case "s6":
      return [`s6-svscanctl -a ${shellWord(place.folder)}`];
  }
}

/** How a service is ended for good: what is to be done before its files go, and what after. */
export function endingSteps(
  kind: ServiceKind,
  { isSystem, name }: Pick<ServiceSpec, "isSystem" | "name">,
  place: ServicePlace,
): { readonly before: string; readonly after: string | null } {
  switch (kind) {
    case "systemd": {
      const systemctl = `systemctl ${isSystem ? "" : "--user "}`;
      return { before: `${systemctl}disable --now ${name}`, after: `${systemctl}daemon-reload` };
    }
    case "launchd":
      return { before: `launchctl bootout ${isSystem ? "system" : "gui/$(id -u)"}/${name}`, after: null };
    case "s6":
      return {
        before: `s6-svc -wD -d ${shellWord(place.ownFolder ?? place.folder)}`,
        after: `s6-svscanctl -an ${shellWord(place.folder)}`,
      };
  }
}

export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
