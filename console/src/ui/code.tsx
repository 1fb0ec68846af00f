import { useState } from "react";
import { folded, type LineMarks, type Mark, piecesOf, visible } from "../text/marks";

interface Props {
  text: string;
  /** What the line consists of; without them, or before they are there, it is plain. */
  marks: LineMarks | undefined;
  /** Which words of it have changed. */
  words?: LineMarks | undefined;
}

const styleOf = (mark: Mark) => ({
  color: `var(--code-${mark})`,
  fontStyle: mark === "comment" ? "italic" : undefined,
});

/** Whether all of a text was asked for, and the button for that. */
export function useAllOf({ length }: string) {
  const [isWhole, setWhole] = useState(false);
  const button = (
    <button type="button" className="line link" onClick={() => setWhole(true)}>
      Show all ({length.toLocaleString("en")} characters)
    </button>
  );
  return [isWhole, button] as const;
}

/** A text of code. Whatever characters it has, they show; of a long line, the beginning does first. */
export function CodeLine({ text: whole, marks, words }: Props) {
  const [isWhole, button] = useAllOf(whole);
  const text = (isWhole ? null : folded([{ text: whole }])[0]?.text) ?? whole;
  return (
    <>
      {piecesOf(text, marks, words).map(({ text, mark, isChanged }, index) => {
        const Piece = isChanged ? "mark" : "span";
        return mark === "plain" && !isChanged ? (
          visible(text)
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no other identity
          <Piece key={index} style={styleOf(mark)}>
            {visible(text)}
          </Piece>
        );
      })}
      {text !== whole && button}
    </>
  );
}
