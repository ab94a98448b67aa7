"""Events as short messages for chats. What customers or colleagues wrote is shown as plain words: it can address nobody
and link nowhere."""

from __future__ import annotations

import re
from typing import Any

LONGEST = 600
LINK = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)\S+", re.IGNORECASE)
DOMAIN_DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
GAP = "\u200b"  # a space of no width: what chats would turn into a link or a mention stays words

HEADINGS = {
    "answer.received": "New answer",
    "complaint.created": "New complaint",
    "spike.started": "Said far more often than usual",
    "item.opened": "Action item opened",
    "item.triaged": "Action item triaged",
    "item.assigned": "Action item assigned",
    "item.taken_on": "Action item taken on",
    "item.waiting": "Action item waits",
    "item.closed": "Action item closed",
    "item.reopened": "Action item reopened",
    "item.verified": "Customers confirm the fix",
    "run.released": "Customers will be told",
    "run.sent": "Customers have been told",
    "follow_up.answered": "A customer says whether it is fixed",
    "verdict.drawn": "Verdict",
    "webhook.test": "Test",
}
FIXED = {"yes": "Yes, it is fixed.", "no": "No, it is not fixed.", "not_since": "Has not run into it since."}


def harmless(text: str) -> str:
    """Words that nobody is addressed by and that lead nowhere."""
    text = LINK.sub("[link]", " ".join(text.split()))
    text = DOMAIN_DOT.sub(f".{GAP}", text).replace("@", f"@{GAP}")
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def lines(payload: dict[str, Any]) -> tuple[str, list[str], str]:
    """A heading, what there is to say, and where to read on."""
    data = payload["data"]
    said = []
    if complaint := data.get("complaint"):
        said.append(harmless(f"{complaint['number']} {complaint['name']}"))
    if item := data.get("item"):
        said.append(harmless(f"{item['team']}, {item['owner']}" if item["owner"] else item["team"]))
    if survey := data.get("survey"):
        score = data["answer"]["score"]
        said.append(harmless(survey["name"]) + ("" if score is None else f", score {score}"))
        said.append(harmless(data["answer"]["comment"]))
    if text := data.get("text"):
        said.append(harmless(text))
    if follow_up := data.get("follow_up"):
        said += [FIXED[follow_up["fixed"]], harmless(follow_up["comment"])]
    if verdict := data.get("verdict"):
        said.append(harmless(verdict["reason"]))
    url = (data.get("item") or data.get("complaint") or data.get("survey") or data)["url"]
    return HEADINGS[payload["type"]], [each for each in said if each], url


def escaped(text: str) -> str:
    """Words for Slack's mrkdwn, whose three special signs these are."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack(payload: dict[str, Any]) -> dict[str, Any]:
    """The body for an incoming webhook of Slack: blocks, and a text for notifications and screen readers."""
    heading, said, url = lines(payload)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": heading}}]
    # As plain text: no signs of its own, so no formatting, mention or link.
    blocks += [{"type": "section", "text": {"type": "plain_text", "text": each, "emoji": False}} for each in said]
    blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"<{escaped(url)}|Open>"}})
    text = escaped(f"{heading}: {said[0]}" if said else heading)
    return {"text": text, "blocks": blocks, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def teams(payload: dict[str, Any]) -> dict[str, Any]:
    """The body for a Workflows webhook of Teams: an Adaptive Card. Runs of rich text know no Markdown."""
    heading, said, url = lines(payload)
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": heading, "weight": "Bolder", "size": "Medium", "wrap": True}
    ]
    body += [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": each}]} for each in said]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
