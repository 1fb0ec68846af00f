// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import type { Review } from "../../api/types";
import { messagesWith, useOutbox } from "./outbox";

const ref = { project: 1, task: "t", run: "r" };
const comment = (id: string): Review["comments"][number] => ({
  ...{ id, path: "x", side: "new", start_line: 1, line: 1, hash: null, text: "Why?" },
  ...{ created_at: null, message_id: null },
});

it("marks comments as sent when the message that carries them is sent again, whichever pane is shown", async () => {
  let isOnline = false;
  let review = { version: 1, viewed: [], comments: [comment("a"), comment("b"), comment("c")] };
  vi.stubGlobal("fetch", async (path: string, { method, body }: RequestInit) => {
    if (!isOnline) throw new TypeError("Failed to fetch");
    if (path.endsWith("/command/")) return Response.json({ result: {} });
    if (method === "PUT") review = JSON.parse(String(body));
    return Response.json(review);
  });
  const wrapper = ({ children }: { children: React.ReactNode }) => (
    <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>
  );
  const { result } = renderHook(() => useOutbox(ref), { wrapper });
  const comments = [comment("a"), { ...comment("b"), text: "Before it was edited" }];
  act(() => result.current.send({ text: "Hi", comments, files: [], artifactIds: [], isKept: false }));
  await waitFor(() => expect(result.current.list[0]?.problem).toBeTruthy());
  const [message] = result.current.list;
  expect(messagesWith(comment("a"), result.current.list)).toEqual([message?.id]);
  expect(messagesWith(comment("b"), result.current.list)).toEqual([]);
  isOnline = true;
  if (message) await act(() => result.current.deliver(message));
  expect(review.comments.map(({ message_id }) => message_id)).toEqual([message?.id, null, null]);
});
