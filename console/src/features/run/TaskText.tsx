/** What the task asks for: the beginning of its first run's transcript. */
import { UserMessage } from "./TranscriptRow";

export function TaskText({ text, files }: { text: string; files: string[] }) {
  if (!text && files.length === 0) return null;
  return <UserMessage item={{ kind: "user", id: "task", at: "", text, files, receipt: null }} />;
}
