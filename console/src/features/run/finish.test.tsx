// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { parseHunks } from "../../text/patch";
import { placeOf } from "../changes/range";
import { changesQuery } from "../changes/useReview";
import { useFinish } from "./Finish";
import { useDraft } from "./useDraft";

HTMLDialogElement.prototype.showModal ??= () => {};

const ref = { project: 1, task: "t", run: "r" };
const PATCH = "@@ -1 +1 @@\n-one\n+eins\n";
const COMMENT = {
  ...{ id: "c", path: "x", text: "Why?", created_at: null, message_id: null },
  ...placeOf(parseHunks(PATCH)[0]?.lines.slice(1) ?? []),
};

interface Props {
  finish: () => void;
  send: (message: string) => void;
  archive?: (leftOut?: string) => void;
  unread?: number;
}

function Page({ finish, send, archive, unread = 0 }: Props) {
  const field = { current: document.createElement("textarea") };
  const form = document.createElement("form");
  form.append(field.current);
  form.requestSubmit = () => send("what is written");
  const outbox = { send: ({ text }: { text: string }) => send(text) };
  const actions = useFinish({ finish, archive, dialog: null } as never, ref, outbox as never, field, unread);
  const draft = useDraft("r");
  return (
    <>
      <button type="button" onClick={() => draft.write("Also …")}>
        Write
      </button>
      <button type="button" onClick={actions.finish}>
        Finish
      </button>
      <button type="button" onClick={() => actions.archive()}>
        Archive
      </button>
      <p>{actions.late}</p>
      {actions.dialog}
    </>
  );
}

afterEach(() => {
  cleanup();
  sessionStorage.clear();
});

it("says of what is not read, and not sent, that it is left out", () => {
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  queries.setQueryData(["review", "r"], { version: 1, viewed: [], comments: [COMMENT] });
  const [finish, archive] = [vi.fn(), vi.fn()];
  const shown = (unread: number) => (
    <QueryClientProvider client={queries}>
      <Page {...{ finish, archive, unread }} send={() => {}} />
    </QueryClientProvider>
  );
  const page = render(shown(1));
  const press = (name: string) =>
    fireEvent.click(page.getByRole("button", { name, exact: true, hidden: true } as never));
  const late = "1 message is not read yet";
  expect(page.getByText(late)).toBeTruthy();
  const left = `1 draft comment is not sent. ${late}, and will not be delivered if the run ends.`;
  press("Archive");
  expect(archive).toHaveBeenLastCalledWith(left);
  press("Finish");
  expect(page.getByText(left)).toBeTruthy();
  expect(finish).not.toHaveBeenCalled();
  press("Finish without");
  queries.setQueryData(["review", "r"], { version: 2, viewed: [], comments: [] });
  page.rerender(shown(0));
  press("Archive");
  expect(archive).toHaveBeenLastCalledWith("");
  page.rerender(shown(2));
  press("Finish");
  expect(page.getByText(/^2 messages are not read yet, and will not/)).toBeTruthy();
  press("Wait");
});

it("asks before a run is finished while a message and comments are not sent", async () => {
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  const [finish, send] = [vi.fn(), vi.fn()];
  const page = render(
    <QueryClientProvider client={queries}>
      <Page {...{ finish, send }} />
    </QueryClientProvider>,
  );
  const press = (name: string) =>
    fireEvent.click(page.getByRole("button", { name, exact: true, hidden: true } as never));
  press("Finish");
  expect(finish).toHaveBeenCalledTimes(1);

  queries.setQueryData(changesQuery(queries, ref, "start").queryKey, {
    files: [{ path: "x", old_path: null, patch: PATCH }],
  } as never);
  queries.setQueryData(["review", "r"], { version: 1, viewed: [], comments: [COMMENT] });
  press("Finish");
  expect(page.container.textContent).toContain("1 draft comment is not sent.");
  press("Finish without");
  expect(finish).toHaveBeenCalledTimes(2);

  press("Write");
  press("Finish");
  expect(page.container.textContent).toContain("1 message and 1 draft comment are not sent.");
  press("Send and wait");
  await waitFor(() => expect(send).toHaveBeenCalledTimes(2));
  expect(send.mock.calls[0]?.[0]).toContain("x, line 1\n```\neins\n```\nWhy?");
  expect(finish).toHaveBeenCalledTimes(2);
  await waitFor(() => expect(page.container.querySelector("dialog")).toBeNull());
});
