/** What a name must say for its value to be taken for a secret: Hermes' words, and a few of its platforms' own. */
const tellingWords: ReadonlySet<string> = new Set([
  ...[
    "key",
    "apikey",
    "authkey",
    "secretkey",
    "token",
    "secret",
    "password",
    "passwd",
    "pass",
    "passphrase",
    "pw",
    "pwd",
  ],
  ...["credential", "auth", "bearer", "private", "cookie", "webhook", "dsn"],
]);
/** Of these a short value counts too, and one that looks like a path. */
const passwordWords: ReadonlySet<string> = new Set(["password", "passwd", "pass", "passphrase", "pw", "pwd", "secret"]);
/** `MYTOKEN` tells as much as `MY_TOKEN`; `MONKEY` and `COMPASS` tell nothing. */
const tellingEnding = /(?:token|secret|password|passwd|apikey|credential)$/;
/** What a name is about when it ends in one of these: `TOKEN_LIMIT`, `KEY_FILE`, `AUTH_MODE`. */
const describingWords: ReadonlySet<string> = new Set([
  ...[
    "name",
    "id",
    "file",
    "path",
    "dir",
    "folder",
    "mode",
    "type",
    "method",
    "provider",
    "policy",
    "scheme",
    "format",
  ],
  ...["limit", "count", "size", "length", "max", "min", "ttl", "timeout", "seconds", "expiry", "interval", "version"],
  ...["enabled", "disabled", "required", "host", "port", "user", "username", "users", "region", "layout", "sock"],
]);

/** Shorter values stand for too much else: blotting out every "1" or "true" would make a document unreadable. */
const passwordLengthMin = 4;
const secretLengthMin = 8;

/** Forms of credentials that need no name to be known, from Hermes' own redaction. */
const knownForms: readonly RegExp[] = [
  /^(?:sk|pk|rk|hsk|fc|fw|pplx|tvly|xai|glpat|gloas|gldt|glrt|glptt|xapp-\d+|xox[baprs])-[\w.-]{10,}$/,
  /^(?:gh[opusr]|github_pat|sk|sk_live|sk_test|rk_live|hf|r8|npm|fal|bb_live|dop_v1|doo_v1|exa|gsk|syt|am|mem0|ntn|brv|fpk)_[\w-]{10,}$/,
  /^(?:AIza[\w-]{30,}|AKIA[A-Z0-9]{16}|gAAAA[\w=-]{20,}|SG\.[\w.-]{10,}|pypi-[\w-]{10,})$/,
  // A token in three parts, of a bot, and a long number in hexadecimal digits.
  /^eyJ[\w-]{10,}(?:\.[\w=-]{4,}){0,2}$/,
  /^(?:bot)?\d{8,}:[\w-]{30,}$/,
  /^[0-9a-f]{32,}(?:\.[A-Za-z0-9]{16,})?$/i,
  /^-----BEGIN[A-Z ]*PRIVATE KEY-----/,
];

/**
 * The values of a home's `.env` that must not show in a document, longest first: those whose name tells, as Hermes reads names, and
 * those that look like credentials whatever they are called. Of an address only what stands before its host.
 */
export function secretsOf(envVariables: Readonly<Record<string, string>>): readonly string[] {
  const secrets = new Set<string>();
  for (const [name, raw] of Object.entries(envVariables)) {
    const value = raw.trim();
    for (const part of addressSecrets(value)) secrets.add(part);
    if (!isSecret(name, value)) continue;
    secrets.add(value);
    // Programs print keys of several lines line by line.
    for (const line of value.split("\n").map((text) => text.trim())) {
      if (line.length >= secretLengthMin && line !== value) secrets.add(line);
    }
  }
  return [...secrets].sort((a, b) => b.length - a.length);
}

export function redactSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((redacted, secret) => redacted.replaceAll(secret, "***"), text);
}

function isSecret(name: string, value: string): boolean {
  if (looksLikeCredential(value)) return true;
  const words = wordsOf(name);
  const last = words.at(-1) ?? "";
  if (describingWords.has(last)) return false;
  const tells = (word: string): boolean => tellingWords.has(word) || tellingEnding.test(word);
  if (!words.some(tells)) return false;
  const isPassword = words.some((word) => passwordWords.has(word) || /(?:password|passwd|secret)$/.test(word));
  if (isPassword) return value.length >= passwordLengthMin;
  return value.length >= secretLengthMin && !isReference(value);
}

/** `API_TOKENS` is `api` and `token`, `clientSecret` is `client` and `secret`. */
function wordsOf(name: string): readonly string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")
    .map((word) => (tellingWords.has(word) ? word : word.replace(/s$/, "")));
}

/** A long mix of letters and digits is nothing that a person would write in a sentence. */
function looksLikeCredential(value: string): boolean {
  if (knownForms.some((form) => form.test(value))) return true;
  if (isReference(value) || !/^[\w.+=/-]{20,}$/.test(value)) return false;
  return /[a-z]/.test(value) && /[A-Z]/.test(value) && /[0-9]/.test(value);
}

/** A path or a variable: it names where a secret is, and is none. A long segment of mixed letters and digits is not of a path. */
function isReference(value: string): boolean {
  if (!/^(?:~?\/|\$\{?\w)[\w./:$ {}-]*$/.test(value)) return false;
  const isMixed = /(?=[^.]*[a-z])(?=[^.]*[A-Z])(?=[^.]*\d)^[^.]{16,}$/;
  return !value.split("/").some((segment) => isMixed.test(segment));
}

/** The password of `scheme://user:password@host`, or the token of `scheme://token@host`, as it stands and decoded. */
function addressSecrets(value: string): readonly string[] {
  const found = /^[a-z][a-z0-9+.-]*:\/\/([^\s/?#]+)@/i.exec(value)?.[1];
  if (found === undefined) return [];
  const colon = found.indexOf(":");
  const secret = colon < 0 ? found : found.slice(colon + 1);
  if (secret.length < (colon < 0 ? secretLengthMin : passwordLengthMin)) return [];
  return [secret, decoded(secret)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded: it stands for itself.
    return text;
  }
}
