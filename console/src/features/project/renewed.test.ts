import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it } from "vitest";
import { renew } from "./renewed";

it("asks again for a first answer that was under way when the question came", async () => {
  const queries = new QueryClient();
  const answers: ((questions: string[]) => void)[] = [];
  const queryFn = () => new Promise<string[]>((resolve) => answers.push(resolve));
  const asked = new QueryObserver(queries, { queryKey: ["task", "t", "questions"], queryFn });
  const stop = asked.subscribe(() => {});
  const done = renew(queries, { queryKey: ["task", "t"] });
  answers[0]?.([]);
  await expect.poll(() => answers.length).toBe(2);
  answers[1]?.(["Go on?"]);
  await done;
  expect(asked.getCurrentResult().data).toEqual(["Go on?"]);
  stop();
});
