// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { partsOf } from "../text/blocks";
import { InlineMarkdown, Markdown } from "./markdown";

const TEXT = [
  "# Title\n\nA paragraph.\n\n- one\n\n- two\n\n  more of two\n\n",
  "Before code.\n\n```py\na = 1\n\nb = 2\n```\n\n> quoted\n\n> again\n\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n1. first\n\n2. second\n\nThe end.",
].join("");

it("in a line has marks alone, and leaves names as they are", () => {
  const text =
    "Edit `__a__` and __init__.py, **now**: [docs](https://example.com)\n\n- one\n- ![x](https://x)";
  const { innerHTML, textContent } = render(<InlineMarkdown text={text} />).container;
  expect(innerHTML).toContain("<code>__a__</code> and __init__.py, <strong>now</strong>: docs");
  expect(innerHTML).not.toMatch(/<(?!\/?(code|strong)>)/);
  expect(textContent).toContain("one");
});

describe("markdown", () => {
  it("is split into pieces that lose nothing, and stay as they are while the text grows", () => {
    let before: string[] = [];
    for (let length = 1; length <= TEXT.length; length += 1) {
      const text = TEXT.slice(0, length);
      const { blocks, code } = partsOf(text, true);
      expect(text.startsWith(blocks.join(""))).toBe(true);
      if (code === null) expect(blocks.join("")).toBe(text);
      const settled = before.slice(0, -1);
      expect(blocks.slice(0, settled.length)).toEqual(settled);
      before = blocks;
    }
  });

  it("looks the same in pieces as in one", () => {
    const inPieces = render(<Markdown text={TEXT} />).container;
    const whole = render(<Markdown text={`${TEXT}\n\n[x]: https://example.com`} />).container;
    const plain = (element: Element) => element.innerHTML.replace(/>\n+</g, "><");
    expect(partsOf(TEXT, false).blocks.length).toBeGreaterThan(3);
    expect(plain(inPieces)).toBe(plain(whole));
  });

  it("shows code that is not complete as code, without reading it again", () => {
    expect(partsOf("Look:\n\n```py\na = 1\n# no title", true)).toEqual({
      blocks: ["Look:\n\n"],
      code: "a = 1\n# no title",
      fence: "```",
    });
    const { container } = render(<Markdown text={"```\n# no title"} isOpen />);
    expect(container.querySelector("pre code")?.textContent).toBe("# no title");
    expect(container.querySelector("h2")).toBeNull();
  });

  it("shows the boxes of a list of tasks", () => {
    const { container, getByRole } = render(<Markdown text={"- [x] one\n- [ ] two"} />);
    expect(getByRole("img", { name: "done" }).parentElement?.textContent?.trim()).toBe("one");
    expect(getByRole("img", { name: "to do" }).parentElement?.textContent?.trim()).toBe("two");
    expect(container.textContent).not.toContain("[");
  });
});
