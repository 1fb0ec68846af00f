// What a transcript shows of a tool call.

/** Return the whole output of a tool call once it ends with `last`; the call is opened, and its output shown whole. */
export async function outputOf(page, title, last) {
  // Looks and clicks in one step of the page: a call that ends is closed, and what is behind it moves.
  const output = await page.waitForFunction(
    ([name, end]) => {
      const group = document.querySelector(
        `[role="log"] [role="group"][aria-label="Output of ${CSS.escape(name)}"]`,
      );
      if (!group) {
        const heads = [...document.querySelectorAll('[role="log"] button[aria-expanded="false"]')];
        heads.find(({ textContent }) => textContent.includes(name))?.click();
        return null;
      }
      const more = group.parentElement.querySelector("p button");
      if (more) more.click();
      return !more && group.textContent.trimEnd().endsWith(end) ? group.textContent : null;
    },
    [title, last],
    { polling: 50 },
  );
  return output.jsonValue();
}

/** The numbers of the lines `line-<number>-end` in an output, in their order. */
export const linesOf = (output) =>
  [...output.matchAll(/line-(\d+)-end/g)].map(([, number]) => Number(number));

/** Whether these are the numbers from one to `count`, each once and in order. */
export const isWhole = (numbers, count) =>
  numbers.length === count && numbers.every((number, index) => number === index + 1);
