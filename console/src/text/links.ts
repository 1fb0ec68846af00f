/** Return the address if a link may lead there: to the web or to a mail, never to a script or into the console. */
export function safeLink(url: string): string {
  try {
    const { protocol } = new URL(url);
    return protocol === "https:" || protocol === "http:" || protocol === "mailto:" ? url : "";
  } catch {
    // Relative: it would lead into the console itself.
    return "";
  }
}
