"""Write and replace our sections in the text of a pull request, between marks."""

import re


class Section:
    def __init__(self, mark: str) -> None:
        self._mark, self._end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
        self._pattern = re.compile(re.escape(self._mark) + ".*?" + re.escape(self._end), re.DOTALL)

    def wrap(self, text: str) -> str:
        return f"{self._mark}\n{text}\n{self._end}"

    def is_in(self, body: str) -> bool:
        return self._pattern.search(body) is not None

    def replace(self, body: str, section: str) -> str:
        """Return the text of a pull request with a new section, or as it is if it has none."""
        return self._pattern.sub(lambda _: section, body, count=1)


WORK, VERIFICATION = Section("taskbeacon"), Section("taskbeacon:verification")
