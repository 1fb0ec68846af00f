"""OpenAPI descriptions of request bodies that are not one JSON document."""

from typing import Any

EVENT_LINES: dict[str, Any] = {
    "requestBody": {
        "description": 'JSON lines, each `{"seq": n, "event": {…}}`, numbered from 1. An empty body only asks for the position. '
        'The last line `{"type": "_posthog/stream_complete", "final_seq": n}` declares that no events follow.',
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "examples": {
                    "example1": {
                        "summary": "The first two events",
                        "value": '{"seq": 1, "event": {"type": "step"}}\n{"seq": 2, "event": {"type": "step"}}\n',
                    },
                    "example3": {
                        "summary": "The third and last event",
                        "value": '{"seq": 3, "event": {"type": "step"}}\n'
                        '{"type": "_posthog/stream_complete", "final_seq": 3}\n',
                    },
                    "example2": {"summary": "Ask for the position", "value": ""},
                },
            }
        },
    }
}
