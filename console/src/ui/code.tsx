import { type LineMarks, type Mark, piecesOf, readable, visible } from "../text/marks";

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

/** One line of code. Whatever characters it has, they show; of a line that is too long to be read, the beginning does. */
export function CodeLine({ text: line, marks, words }: Props) {
  const { text, rest } = readable(line);
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
      {rest > 0 && <i className="faint"> … {rest.toLocaleString("en")} more characters</i>}
    </>
  );
}
