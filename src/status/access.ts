import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Answer, problem } from "./control-actions.ts";

/** By these names a program on this machine may call it. */
const loopbackHosts: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Who may ask on a port: whoever has the token. A web page in a browser of this machine cannot get past it either: its requests carry
 * an `Origin`, or, where a name of its own leads here, another `Host`.
 */
export function admitBearer(
  host: string,
  port: number,
  token: () => string | null,
): (request: IncomingMessage) => Answer | null {
  const isOwn = (authority: string): boolean => {
    const found = /^(\[[0-9a-f:.]+\]|[^:]+)(?::(\d{1,5}))?$/u.exec(authority.toLowerCase());
    if (found === null) return false;
    const [, name = "", number] = found;
    return (loopbackHosts.has(name) || name === host) && Number(number ?? "80") === port;
  };
  return (request) => {
    const { host: asked, origin, authorization } = request.headers;
    // Node takes only the first of several.
    if (count(request, "host") !== 1 || asked === undefined || !isOwn(asked)) {
      return problem(403, `The Host of the request is not one of this machine, expected ${host}:${port}`);
    }
    if (origin !== undefined && (count(request, "origin") !== 1 || !isOwnOrigin(origin, isOwn))) {
      return problem(403, "The Origin of the request is another site, expected none");
    }
    const expected = token();
    if (expected === null) return problem(503, "The token's file cannot be used, see the log of the daemon");
    const given = /^Bearer +(\S+)$/iu.exec(authorization ?? "")?.[1] ?? "";
    return isSame(given, expected) && given !== ""
      ? null
      : problem(
          401,
          "The request has no valid token, expected Authorization: Bearer and the content of the token's file",
        );
  };
}

function isOwnOrigin(origin: string, isOwn: (authority: string) => boolean): boolean {
  return origin.startsWith("http://") && isOwn(origin.slice("http://".length));
}

function count({ rawHeaders }: IncomingMessage, name: string): number {
  return rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === name).length;
}

/** Digests have one length, so how long it takes tells nothing about the token. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
