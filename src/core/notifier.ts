/** Whom alerts are told to. Nothing of it is to be shown or logged: an address can hold a password. */
export type Notifier =
  | { readonly kind: "command"; readonly words: readonly string[]; readonly timeoutMs: number }
  | {
      readonly kind: "webhook";
      readonly url: string;
      readonly tokenFile: string | null;
      readonly timeoutMs: number;
    };

/** Tells notifiers apart for people, without what may be secret. */
export function notifierName(notifier: Notifier): string {
  if (notifier.kind === "command") return `command ${notifier.words[0]}`;
  const host = /^https?:\/\/(?:[^/?#]*@)?([^/?#]+)/u.exec(notifier.url)?.[1] ?? "?";
  return `webhook ${host}`;
}
