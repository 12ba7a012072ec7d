/** What follows a prefix that tells a credential from anything else, by Hermes 0.22 (`agent/redact.py`, `_PREFIX_PATTERNS`). */
const prefixed: readonly string[] = [
  // Of providers of models; dots only between characters of the key, never the three of a mask.
  "sk-[\\w-](?:\\.?[\\w-]){9,}",
  "(?:pplx|fc|tvly|hsk)-[A-Za-z0-9]{10,}",
  "(?:xai|fw)-[A-Za-z0-9]{30,}",
  "(?:fw|fpk)_[A-Za-z0-9]{30,}",
  "(?:fal|bb_live)_[\\w-]{10,}",
  "sk_[A-Za-z0-9_]{10,}",
  "(?:hf|r8|exa|gsk|retaindb|mem0|brv|ntn)_[A-Za-z0-9]{10,}",
  "am_(?:org_)?[A-Za-z0-9]{20,}",
  "pk-lf-[A-Za-z0-9-]{8,}",
  "gAAAA[\\w=-]{20,}",
  // Of code hosts, registries and clouds.
  "(?:ghp|gho|ghu|ghs|ghr|npm|dop_v1|doo_v1)_[A-Za-z0-9]{10,}",
  "github_pat_\\w{10,}",
  "(?:glpat|gloas|gldt|glcbt|glptt|glft|glimt|glagent|glsoat|glffct|glwt)-[\\w-]{10,}",
  "(?:glrt|glrtr)-[\\w.-]{10,}",
  "GR1348941[\\w-]{10,}",
  "pypi-[\\w-]{10,}",
  "AIza[\\w-]{30,}",
  "AKIA[A-Z0-9]{16}",
  // Of payment, mail and chat.
  "(?:sk_live|sk_test|rk_live)_[A-Za-z0-9]{10,}",
  "SG\\.[\\w-]{10,}",
  "xapp-\\d+-[A-Za-z0-9-]{10,}",
  "xox[baprs]-[A-Za-z0-9-]{10,}",
  "syt_[A-Za-z0-9]{10,}",
];

const prefixedKey = new RegExp(`(?<![\\w-])(?:${prefixed.join("|")})(?![\\w-])`, "g");
/** A key in two parts without a prefix. */
const zhipuKey = /(?<![\w.-])[0-9a-f]{32}\.[A-Za-z0-9]{16,}(?![\w.-])/g;
const authorization = /((?:Proxy-)?Authorization:\s*(?:[A-Za-z][\w.+-]*\s+)?)([^\s"']+)/gi;
const secretHeader =
  /((?:x-api-key|x-goog-api-key|api-key|apikey|x-api-token|x-auth-token|x-access-token)\s*:\s*)(\S+)/gi;
const botToken = /(?<!\d)((?:bot)?\d{8,}):[-\w]{30,}/g;
const privateKey = /-----BEGIN[A-Z ]*PRIVATE KEY-----[\s\S]*?-----END[A-Z ]*PRIVATE KEY-----/g;
// Bounded, as every rule here has to be quick on whatever a script prints.
const databasePassword = /((?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp):\/\/[^:\s]{1,256}:)[^@\s]{1,1024}@/gi;
const addressToken = /((?:https?|wss?|git|ssh|ftp|ftps|sftp):\/\/)([^\s:@/]{8,})(@\S+)/gi;
const webToken = /eyJ[\w-]{10,}(?:\.[\w=-]{4,}){0,2}/g;

/**
 * Masks the credentials that are known by their form alone, in the order and with the masks of Hermes: the first six characters and
 * the last four of a long one are left, so that a person can tell which it was.
 */
export function maskKeys(text: string): string {
  return text
    .replace(prefixedKey, mask)
    .replace(zhipuKey, mask)
    .replace(authorization, (_all, head: string, key: string) => head + mask(key))
    .replace(secretHeader, (_all, head: string, key: string) => head + mask(key))
    .replace(botToken, "$1:***")
    .replace(privateKey, "[REDACTED PRIVATE KEY]")
    .replace(databasePassword, "$1***@")
    .replace(addressToken, (_all, head: string, key: string, host: string) => head + mask(key) + host)
    .replace(webToken, mask);
}

function mask(key: string): string {
  return key.length < 18 ? "***" : `${key.slice(0, 6)}...${key.slice(-4)}`;
}
