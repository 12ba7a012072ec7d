import type { System } from "../system/system.ts";

/**
 * Saves a run's document where Hermes looks for it: `<cron>/output/<job id>/<name>.md`, and keeps the newest `keepMax` by name.
 * Returns its path. Writing the same document again replaces it. Source: `save_job_output` of Hermes 0.22.
 */
export function saveOutputDocument(
  system: System,
  cronFolder: string,
  jobId: string,
  name: string,
  text: string,
  keepMax: number,
): string {
  const folder = `${cronFolder}/output/${jobId}`;
  system.files.makeFolder(`${cronFolder}/output`, 0o700, false);
  system.files.makeFolder(folder, 0o700, false);
  const path = `${folder}/${name}.md`;
  system.files.replace(path, `.output_${system.random.token(8)}.tmp`, text, 0o600);
  prune(system, folder, keepMax);
  return path;
}

function prune(system: System, folder: string, keepMax: number): void {
  if (keepMax <= 0) return;
  const documents = system.files
    .list(folder)
    .filter((name) => name.endsWith(".md"))
    .sort();
  for (const name of documents.slice(0, Math.max(0, documents.length - keepMax)))
    system.files.remove(`${folder}/${name}`);
}
