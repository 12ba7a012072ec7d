import { chmodSync, chownSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type Files, sameFile } from "../../src/system/files.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";

interface Subject {
  readonly files: Files;
  /** An empty folder. */
  readonly root: string;
  link(path: string, target: string): void;
  own(path: string, uid: number, gid: number, mode: number): void;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const subjects: readonly (readonly [string, () => Subject])[] = [
  [
    "real",
    () => {
      const root = realpathSync(mkdtempSync(join(tmpdir(), "files-")));
      folders.push(root);
      return {
        files: createFiles(),
        root,
        link: (path, target) => symlinkSync(target, path),
        own(path, uid, gid, mode) {
          // Only root can give a file away; for everyone else it stays with its maker, and so does what replaces it.
          if (process.geteuid?.() === 0) chownSync(path, uid, gid);
          chmodSync(path, mode);
        },
      };
    },
  ],
  [
    "fake",
    () => {
      const files = createFakeFiles();
      files.makeFolder("/tmp/root", 0o755, false);
      return { files, root: "/tmp/root", link: files.link, own: files.own };
    },
  ],
];

for (const [kind, createSubject] of subjects) {
  const name = (fact: string) => `${kind} files: ${fact}`;

  test(name("create() makes a file once, with its mode"), () => {
    const { files, root } = createSubject();
    const path = join(root, "a");
    files.create(path, "text", 0o600);
    expect(files.readText(path)).toBe("text");
    expect(files.stat(path)).toMatchObject({ kind: "file", mode: 0o600, sizeBytes: 4 });
    expect(() => files.create(path, "other", 0o600)).toThrow(withCode("EEXIST"));
    expect(files.readText(path)).toBe("text");
  });

  test(name("stage() takes what is gone already for discarded"), () => {
    const { files, root } = createSubject();
    const staged = files.stage(join(root, "a"), "a.tmp", "text", 0o600);
    files.remove(join(root, "a.tmp"));
    staged.discard();
    expect(files.list(root)).toEqual([]);
  });

  test(name("create() refuses a path that is a link, even to nothing"), () => {
    const { files, root, link } = createSubject();
    link(join(root, "link"), join(root, "nowhere"));
    expect(() => files.create(join(root, "link"), "text", 0o600)).toThrow(withCode("EEXIST"));
    expect(files.list(root)).toEqual(["link"]);
  });

  test(name("stat() follows links, statLink() does not, and nothing is null"), () => {
    const { files, root, link } = createSubject();
    files.create(join(root, "a"), "text", 0o600);
    link(join(root, "link"), "a");
    link(join(root, "dangling"), "nowhere");
    expect(files.stat(join(root, "link"))?.kind).toBe("file");
    expect(files.statLink(join(root, "link"))?.kind).toBe("symlink");
    expect(files.stat(join(root, "dangling"))).toBeNull();
    expect(files.stat(join(root, "none"))).toBeNull();
    expect(files.statLink(join(root, "none"))).toBeNull();
    expect(files.stat(root)?.kind).toBe("folder");
    expect(files.realPath(join(root, "link"))).toBe(join(root, "a"));
    expect(() => files.realPath(join(root, "dangling"))).toThrow(withCode("ENOENT"));
  });

  test(name("stat() finds nothing below a file"), () => {
    const { files, root } = createSubject();
    files.create(join(root, "a"), "text", 0o600);
    expect(files.stat(join(root, "a", "b"))).toBeNull();
    expect(files.statLink(join(root, "a", "b"))).toBeNull();
  });

  test(name("replace() puts the new bytes in place and says what is there now"), () => {
    const { files, root } = createSubject();
    const path = join(root, "a");
    files.create(path, "old", 0o640);
    const before = files.stat(path);
    const identity = files.replace(path, ".tmp", "new text", 0o600);
    expect(files.readText(path)).toBe("new text");
    expect(sameFile(identity, files.stat(path))).toBe(true);
    expect(sameFile(identity, before)).toBe(false);
    expect(identity.inode).not.toBe(before?.inode);
    expect(files.list(root)).toEqual(["a"]);
  });

  test(name("replace() makes a file that is not there yet, with the mode asked for"), () => {
    const { files, root } = createSubject();
    files.replace(join(root, "a"), ".tmp", Buffer.from([0, 255]), 0o600);
    expect([...files.read(join(root, "a"))]).toEqual([0, 255]);
    expect(files.stat(join(root, "a"))?.mode).toBe(0o600);
  });

  test(name("replace() keeps the mode and the owner of the old file"), () => {
    const { files, root, own } = createSubject();
    const path = join(root, "a");
    files.create(path, "old", 0o600);
    own(path, 1234, 2345, 0o660);
    const before = files.stat(path);
    files.replace(path, ".tmp", "new", 0o600);
    const after = files.stat(path);
    expect(after?.mode).toBe(0o660);
    expect([after?.uid, after?.gid]).toEqual([before?.uid, before?.gid]);
  });

  test(name("replace() of a link replaces the file it points at, beside which the temporary file stands"), () => {
    const { files, root, link } = createSubject();
    files.makeFolder(join(root, "there"), 0o700, false);
    files.makeFolder(join(root, "here"), 0o700, false);
    files.create(join(root, "there", "a"), "old", 0o600);
    link(join(root, "here", "a"), "../there/a");
    files.create(join(root, "here", ".tmp"), "not ours", 0o600);
    files.replace(join(root, "here", "a"), ".tmp", "new", 0o600);
    expect(files.statLink(join(root, "here", "a"))?.kind).toBe("symlink");
    expect(files.readText(join(root, "there", "a"))).toBe("new");
    expect(files.list(join(root, "there"))).toEqual(["a"]);
    expect(files.readText(join(root, "here", ".tmp"))).toBe("not ours");
  });

  test(name("replace() touches no file that already has the temporary name, nor a link of that name"), () => {
    const { files, root, link } = createSubject();
    files.create(join(root, "a"), "old", 0o600);
    files.create(join(root, "b"), "other", 0o600);
    link(join(root, ".tmp"), "b");
    expect(() => files.replace(join(root, "a"), ".tmp", "new", 0o600)).toThrow(withCode("EEXIST"));
    expect(files.readText(join(root, "a"))).toBe("old");
    expect(files.readText(join(root, "b"))).toBe("other");
    expect(files.list(root)).toEqual([".tmp", "a", "b"]);
  });

  test(name("replace() of a link to nothing, of a folder and in no folder fails and leaves nothing behind"), () => {
    const { files, root, link } = createSubject();
    link(join(root, "dangling"), "nowhere");
    files.makeFolder(join(root, "folder"), 0o700, false);
    expect(() => files.replace(join(root, "dangling"), ".tmp", "new", 0o600)).toThrow(withCode("ENOENT"));
    expect(() => files.replace(join(root, "folder"), ".tmp", "new", 0o600)).toThrow(withCode("EISDIR"));
    expect(() => files.replace(join(root, "none", "a"), ".tmp", "new", 0o600)).toThrow(withCode("ENOENT"));
    expect(files.list(root)).toEqual(["dangling", "folder"]);
  });

  test(name("append() adds to a file, or makes it"), () => {
    const { files, root } = createSubject();
    files.append(join(root, "a"), "one", 0o600);
    files.append(join(root, "a"), Buffer.from("two"), 0o600);
    expect(files.readText(join(root, "a"))).toBe("onetwo");
    expect(files.stat(join(root, "a"))?.mode).toBe(0o600);
  });

  test(name("readPart() gives what is there of the part asked for"), () => {
    const { files, root } = createSubject();
    files.create(join(root, "a"), "0123456789", 0o600);
    const part = (offset: number, length: number) =>
      Buffer.from(files.readPart(join(root, "a"), offset, length)).toString();
    expect([part(0, 3), part(7, 3), part(8, 5), part(10, 5), part(20, 5)]).toEqual(["012", "789", "89", "", ""]);
  });

  test(name("read() of nothing and of a folder throws"), () => {
    const { files, root } = createSubject();
    expect(() => files.read(join(root, "none"))).toThrow(withCode("ENOENT"));
    expect(() => files.readText(root)).toThrow(withCode("EISDIR"));
    expect(() => files.list(join(root, "none"))).toThrow(withCode("ENOENT"));
  });

  test(name("makeFolder() makes parents only when asked, and takes a folder that is there"), () => {
    const { files, root } = createSubject();
    expect(() => files.makeFolder(join(root, "a", "b"), 0o700, false)).toThrow(withCode("ENOENT"));
    files.makeFolder(join(root, "a", "b"), 0o700, true);
    files.makeFolder(join(root, "a", "b"), 0o700, false);
    files.makeFolder(join(root, "a", "b"), 0o700, true);
    expect(files.stat(join(root, "a", "b"))).toMatchObject({ kind: "folder", mode: 0o700 });
    files.create(join(root, "file"), "", 0o600);
    expect(() => files.makeFolder(join(root, "file"), 0o700, false)).toThrow(withCode("EEXIST"));
  });

  test(name("rename() moves a file over another"), () => {
    const { files, root } = createSubject();
    files.create(join(root, "a"), "a", 0o600);
    files.create(join(root, "b"), "b", 0o600);
    files.rename(join(root, "a"), join(root, "b"));
    expect(files.list(root)).toEqual(["b"]);
    expect(files.readText(join(root, "b"))).toBe("a");
    expect(() => files.rename(join(root, "a"), join(root, "c"))).toThrow(withCode("ENOENT"));
  });

  test(name("remove() removes a link and not what it points at"), () => {
    const { files, root, link } = createSubject();
    files.create(join(root, "a"), "a", 0o600);
    link(join(root, "link"), "a");
    files.remove(join(root, "link"));
    expect(files.list(root)).toEqual(["a"]);
    expect(() => files.remove(join(root, "link"))).toThrow(withCode("ENOENT"));
  });

  test(name("removeFolder() removes a folder with what is in it, and follows no link out of it"), () => {
    const { files, root, link } = createSubject();
    files.makeFolder(join(root, "a", "b"), 0o700, true);
    files.makeFolder(join(root, "kept"), 0o700, false);
    files.create(join(root, "kept", "file"), "", 0o600);
    link(join(root, "a", "b", "link"), join(root, "kept"));
    files.removeFolder(join(root, "a"));
    expect(files.list(root)).toEqual(["kept"]);
    expect(files.list(join(root, "kept"))).toEqual(["file"]);
    expect(() => files.removeFolder(join(root, "a"))).toThrow(withCode("ENOENT"));
  });

  test(name("freeBytes() tells the space that is left"), () => {
    const { files, root } = createSubject();
    expect(files.freeBytes(root)).toBeGreaterThan(0);
    expect(() => files.freeBytes(join(root, "none"))).toThrow(withCode("ENOENT"));
  });

  test(name("sameFile() sees a rewrite in place and an append"), () => {
    const { files, root } = createSubject();
    const path = join(root, "a");
    files.create(path, "one", 0o600);
    const first = files.stat(path);
    expect(sameFile(first, files.stat(path))).toBe(true);
    files.append(path, "!", 0o600);
    expect(sameFile(first, files.stat(path))).toBe(false);
    expect(sameFile(first, null)).toBe(false);
    expect(sameFile(null, null)).toBe(true);
  });
}

function withCode(code: string): Error {
  return expect.objectContaining({ code });
}
