import { type ServiceSpec, sealText } from "./service.ts";

/** The property list. `logPath` gets the log, which launchd does not keep by itself. */
export function formatLaunchdPlist(spec: ServiceSpec, logPath: string): string {
  const { user, command, variables } = spec;
  const string = (text: string): string => `<string>${escapeXml(text)}</string>`;
  const dictionary = (entries: readonly (readonly [string, string])[], indent: string): string[] => [
    `${indent}<dict>`,
    ...entries.flatMap(([key, value]) => [`${indent}  <key>${escapeXml(key)}</key>`, `${indent}  ${value}`]),
    `${indent}</dict>`,
  ];
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<!-- Written by hermes-supervisor ${spec.version}. -->`,
    '<plist version="1.0">',
    "<dict>",
    "  <key>Label</key>",
    `  ${string(spec.name)}`,
    "  <key>ProgramArguments</key>",
    "  <array>",
    ...command.map((word) => `    ${string(word)}`),
    "  </array>",
    ...(user === null ? [] : ["  <key>UserName</key>", `  ${string(user.name)}`]),
    "  <key>EnvironmentVariables</key>",
    ...dictionary(
      [...variables].map(([key, value]) => [key, string(value)] as const),
      "  ",
    ),
    "  <key>RunAtLoad</key>",
    "  <true/>",
    "  <key>KeepAlive</key>",
    "  <true/>",
    "  <!-- Only the daemon is ended with the service: its runs go on, and the next daemon adopts them. -->",
    "  <key>AbandonProcessGroup</key>",
    "  <true/>",
    "  <key>ExitTimeOut</key>",
    "  <integer>30</integer>",
    "  <!-- The usual 256 open files are few for many runs. -->",
    "  <key>SoftResourceLimits</key>",
    ...dictionary([["NumberOfFiles", "<integer>8192</integer>"]], "  "),
    "  <key>StandardErrorPath</key>",
    `  ${string(logPath)}`,
    "</dict>",
    "</plist>",
  ];
  return sealText(`${lines.join("\n")}\n`, (words) => `<!-- ${words} -->`);
}

/** XML knows no control characters but tab and newline, however they are written; no path that anybody uses has any. */
function escapeXml(text: string): string {
  const bad = /[^\t\n\x20-\u{10ffff}]/u.exec(text);
  if (bad !== null) {
    throw new RangeError(`Cannot write "${JSON.stringify(text)}" into a property list: it has a control character`);
  }
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
