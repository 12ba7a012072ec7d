const needed = { major: 22, minor: 22 };

/** Why this Node cannot run the program, in one line, or null when it can. Must itself run on any Node with modules. */
export function nodeProblem(version: string): string | null {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > needed.major || (major === needed.major && minor >= needed.minor)) return null;
  return `Cannot run on Node ${version}: Node ${needed.major}.${needed.minor} or newer is needed, see https://nodejs.org`;
}
