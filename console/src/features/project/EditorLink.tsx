/** Opens a file of the run in the person's own editor, where they have a clone of the repository. */
import { SquareArrowOutUpRight } from "lucide-react";
import { createContext, useContext } from "react";
import { useKept } from "../../ui/kept";

export const EDITORS = [
  ["", "None"],
  ["vscode", "Visual Studio Code"],
  ["vscode-insiders", "Visual Studio Code Insiders"],
  ["cursor", "Cursor"],
  ["windsurf", "Windsurf"],
  ["zed", "Zed"],
] as const;

const NONE = { scheme: "", folder: "" };

/** `folder` is that of the clones; `{repository}` in it stands for the repository. */
export const useEditor = () => useKept(localStorage, "taskbeacon.editor", NONE);

/** The repository of the task on the page. */
export const OfRepository = createContext<string | null>(null);

/** Return the address of a file in an editor; null without one, or for a path that leads out of the clone. */
export function editorHref(editor: typeof NONE, repository: string | null, path: string) {
  const { scheme, folder } = editor;
  const isKnown = EDITORS.some(([name]) => name === scheme && name);
  if (!isKnown || !folder || !path || path.startsWith("/") || path.split(/[\\/]/).includes("..")) return null;
  const clone = folder.replaceAll("\\", "/").replace("{repository}", repository ?? "");
  const whole = `${clone.replace(/\/$/, "")}/${path}`.split("/").map(encodeURIComponent).join("/");
  return `${scheme}://file${whole.startsWith("/") ? "" : "/"}${whole}`;
}

/** `path` is from the root of the repository. */
export function EditorLink({ path }: { path: string }) {
  const [editor] = useEditor();
  const href = editorHref(editor, useContext(OfRepository), path);
  if (!href) return null;
  const label = `Open ${path} in the editor`;
  return (
    <a href={href} aria-label={label} title={label}>
      <SquareArrowOutUpRight size={14} />
    </a>
  );
}
