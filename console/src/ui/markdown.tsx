/** Agents' markdown. It is hostile: no raw HTML, no images (they would report the reader), and links only to the web. */
import { Square, SquareCheck } from "lucide-react";
import { Fragment, isValidElement, memo, type ReactNode, useMemo } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { partsOf } from "../text/blocks";
import { languageOfFence } from "../text/languages";
import { safeLink } from "../text/links";
import { scrolling } from "./classes";
import { CodeLine } from "./code";
import { Copied } from "./copy";
import { useMarks } from "./highlight";
import styles from "./markdown.module.css";

function Minor({ children }: { children?: ReactNode }) {
  return <h2 className={styles.minor}>{children}</h2>;
}

/** A block of code; its language is the word behind the fence. */
function CodeBlock({ children }: { children?: ReactNode }) {
  const props = isValidElement<{ className?: string; children?: ReactNode }>(children) ? children.props : {};
  const text = typeof props.children === "string" ? props.children : null;
  const codes = useMemo(() => (text === null ? [] : [text]), [text]);
  const language = languageOfFence(/^language-(\S+)/.exec(props.className ?? "")?.[1] ?? "");
  const marks = useMarks(language, codes).get(text ?? "");
  return (
    <Copied text={text ?? ""}>
      <pre className="well" {...scrolling("Code")}>
        {marks && text !== null ? (
          <code>
            {text.split("\n").map((line, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other identity
              <Fragment key={index}>
                {index > 0 && "\n"}
                <CodeLine text={line} marks={marks[index]} />
              </Fragment>
            ))}
          </code>
        ) : (
          children
        )}
      </pre>
    </Copied>
  );
}

const PLUGINS = [remarkGfm];

const COMPONENTS: Components = {
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ) : (
      <span>{children}</span>
    ),
  img: ({ alt }) => <span className="faint">[image: {alt || "without a name"}]</span>,
  // One level, below the title of the page: agents leave levels out, which is confusing to people who listen.
  h1: ({ children }) => <h2>{children}</h2>,
  h2: ({ children }) => <h2>{children}</h2>,
  h3: Minor,
  h4: Minor,
  h5: Minor,
  h6: Minor,
  // Of a list of tasks: it shows, and changes nothing.
  input: ({ checked }) =>
    checked ? (
      <SquareCheck className={styles.box} size={15} role="img" aria-label="done" />
    ) : (
      <Square className={styles.box} size={15} role="img" aria-label="to do" />
    ),
  // A wide table or a long line of code scrolls by itself; the keyboard must reach it.
  table: ({ children }) => (
    <div className={styles.wide} {...scrolling("Table")}>
      <table>{children}</table>
    </div>
  ),
  pre: CodeBlock,
};

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} urlTransform={safeLink}>
      {text}
    </ReactMarkdown>
  );
});

/*
 * Agents write what they want, and some texts would stop the page: reading a word takes time that grows with the
 * square of its length, and quotations, lists and brackets may be nested without end.
 */
const LONGEST_TEXT = 200_000;
const TOO_MUCH = /\S{2000}|[[(*_~<>!]{60}|^(?:[ \t]*(?:[-*+>]|\d{1,9}[.)])){20}/m;

const INLINE = ["code", "em", "strong", "del"];

/** A sentence or two, within a line: without blocks, and without links. A name such as `__init__` stays what it is. */
export function InlineMarkdown({ text }: { text: string }) {
  if (text.length > LONGEST_TEXT || TOO_MUCH.test(text)) return text;
  const source = text.replace(/(`+)[^`]*\1|_/g, (found) => (found === "_" ? "\\_" : found));
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} allowedElements={INLINE} unwrapDisallowed>
      {source}
    </ReactMarkdown>
  );
}

export function Markdown({ text, isOpen = false }: { text: string; isOpen?: boolean }) {
  if (text.length > LONGEST_TEXT || TOO_MUCH.test(text))
    return (
      <p className="verbatim">
        <CodeLine text={text} marks={undefined} />
      </p>
    );
  const { blocks, code } = partsOf(text, isOpen);
  return (
    <div className={styles.markdown}>
      {blocks.map((block, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the text only grows
        <Block key={index} text={block} />
      ))}
      {code !== null && (
        <pre className="well" {...scrolling("Code")}>
          <code>{code}</code>
        </pre>
      )}
    </div>
  );
}
