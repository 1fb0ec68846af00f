/** Files as the rows of a tree; folders that hold a single folder are written as one. Pure. */

export interface TreeRow {
  path: string;
  name: string;
  depth: number;
  /** Which file it is; null for a folder. */
  index: number | null;
}

interface Folder {
  folders: Map<string, Folder>;
  files: { name: string; path: string; index: number }[];
}

const newFolder = (): Folder => ({ folders: new Map(), files: [] });

export function treeOf(files: readonly { path: string }[]): TreeRow[] {
  const root = newFolder();
  for (const [index, { path }] of files.entries()) {
    const parts = path.split("/");
    const name = parts.pop() ?? path;
    let folder = root;
    for (const part of parts) {
      const inner = folder.folders.get(part) ?? newFolder();
      folder.folders.set(part, inner);
      folder = inner;
    }
    folder.files.push({ name, path, index });
  }
  return rowsOf(root, "", 0);
}

/** The order in which the tree shows files, so that the next file is the next line of it. */
export function inTreeOrder<File extends { path: string }>(files: readonly File[]): File[] {
  return treeOf(files).flatMap(({ index }) => (index === null ? [] : [files[index] as File]));
}

function rowsOf(folder: Folder, prefix: string, depth: number): TreeRow[] {
  const rows: TreeRow[] = [];
  for (const [part, inner] of folder.folders) {
    let [name, shown] = [part, inner];
    while (shown.files.length === 0 && shown.folders.size === 1) {
      const [[only, next]] = shown.folders as unknown as [[string, Folder]];
      name = `${name}/${only}`;
      shown = next;
    }
    rows.push({ path: `${prefix}${name}`, name, depth, index: null });
    rows.push(...rowsOf(shown, `${prefix}${name}/`, depth + 1));
  }
  for (const { name, path, index } of folder.files) rows.push({ path, name, depth, index });
  return rows;
}
