import { type LineMarks, piecesOf } from "../text/marks";
import styles from "./code.module.css";

/** One line of code with its marks; without any, or before they are there, the plain text. */
export function CodeLine({ text, marks }: { text: string; marks: LineMarks | undefined }) {
  if (!marks) return text;
  return piecesOf(text, marks).map((piece, index) =>
    piece.mark === "plain" ? (
      piece.text
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no other identity
      <span key={index} className={styles[piece.mark]}>
        {piece.text}
      </span>
    ),
  );
}
