/** What a person can do about an error of the system, by its code. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: "make the folder readable and writable for this user",
  EPERM: "make the folder writable for this user",
  EROFS: "make the folder writable for this user",
  EISDIR: "make the folder writable for this user",
  ENOSPC: "make room on its disk",
  EDQUOT: "make room on its disk",
  ENOENT: "put the folder back",
  ENOTDIR: "put the folder back",
  EMFILE: "let this user open more files",
  ENFILE: "let this user open more files",
  EIO: "look after its disk",
};

/** Why a home cannot be served, in one line. Our own errors say it themselves; those of the system are told with a way out. */
export function homeFault(home: string, error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  if (code === null || !("syscall" in error)) return error.message;
  const remedy = remedies[code];
  return `Cannot serve home "${home}": ${error.message}${remedy === undefined ? "" : `, ${remedy}`}`;
}
