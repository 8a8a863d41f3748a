"""An alert channel of our own: one line of JSON a message, in a file that another program watches."""

import json
import os
from pathlib import Path


def send(title: str, body: str, severity: str) -> None:
    """Take one message or raise; the platform tries again later. Ends within some seconds: other messages wait.

    `severity` is critical, warning or info.
    """
    file = Path(os.environ.get("DESK_ALERTS", "alerts.jsonl"))
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"title": title, "body": body, "severity": severity}) + "\n")
