/** JSON with what a terminal would obey, or lines would be told in another order for, written as `\u009b`: it means the same to every reader of JSON. */
export function escapeControls(json: string): string {
  return json.replace(
    /[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
