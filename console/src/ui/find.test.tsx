// @vitest-environment jsdom
import { fireEvent, render } from "@testing-library/react";
import { useRef } from "react";
import { expect, it, vi } from "vitest";
import { useFind } from "./find";

vi.stubGlobal("CSS", {});

function Place({
  where,
  texts,
  onShow,
}: {
  where: string;
  texts: string[];
  onShow: (at: string | null) => void;
}) {
  const content = useRef<HTMLDivElement>(null);
  const [begin, bar] = useFind({
    ...{ where, content, onShow, unit: "line", className: "" },
    find: (text) => texts.filter((one) => one.includes(text)),
  });
  return (
    <div ref={content} tabIndex={-1}>
      <button type="button" onClick={begin}>
        Search {where}
      </button>
      {bar}
    </div>
  );
}

it("says where else a text is that is not here, and goes there with it", () => {
  const shown = vi.fn();
  const page = render(
    <>
      <Place where="the changes" texts={["one"]} onShow={() => {}} />
      <Place where="the transcript" texts={["two", "two and three"]} onShow={shown} />
    </>,
  );
  fireEvent.click(page.getByText("Search the changes"));
  const field = page.getByLabelText("Find in the changes");
  fireEvent.change(field, { target: { value: "one" } });
  expect(page.queryByText("2 in the transcript")).toBeNull();
  fireEvent.change(field, { target: { value: "two" } });
  expect(page.getByRole("status").textContent).toBe("Not in the changes");
  fireEvent.click(page.getByText("2 in the transcript"));
  expect(page.queryByLabelText("Find in the changes")).toBeNull();
  const other = page.getByLabelText("Find in the transcript") as HTMLInputElement;
  expect(other.value).toBe("two");
  expect(document.activeElement).toBe(other);
  expect(shown).toHaveBeenLastCalledWith("two");
  fireEvent.change(other, { target: { value: "nowhere" } });
  expect(page.getByRole("status").textContent).toBe("Not in the transcript");
});
