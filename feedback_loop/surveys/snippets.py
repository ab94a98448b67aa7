"""Ready texts that put a survey somewhere: links for mails, the QR code, scripts and frames for pages."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import segno

from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES


@dataclass(frozen=True)
class HelpDesk:
    """A program that writes mails to customers.

    Attributes:
        title: Its name for people.
        ticket: What its mail templates replace by the number of the ticket.
    """

    title: str
    ticket: str


HELP_DESKS: dict[str, HelpDesk] = {
    "zendesk": HelpDesk("Zendesk", "{{ticket.id}}"),
    "freshdesk": HelpDesk("Freshdesk", "{{ticket.id}}"),
    "helpscout": HelpDesk("Help Scout", "{%conversation.number%}"),
    "front": HelpDesk("Front", "{{conversation.id}}"),
    "other": HelpDesk("Another one", "{ticket}"),
}
MODES = {
    "inline": "In the page, where the script stands",
    "popover": "A popover in the corner, which opens by itself",
    "tab": "A tab at the side, which opens the popover",
}


@dataclass(frozen=True)
class ScoreLink:
    """One link of a mail.

    Attributes:
        url: Where it leads; the help desk puts the number of the ticket into it.
        label: What a button says.
        words: What a line of plain text says: with the meaning where the button says only a number.
    """

    url: str
    label: str
    words: str


def link(survey: Survey, public_url: str) -> str:
    """The address at which anybody may answer."""
    return f"{public_url}/s/{survey.slug}"


def score_links(survey: Survey, public_url: str, ticket: str) -> list[ScoreLink]:
    """A link for each score, in reading order; one without a score where there is none to choose.

    Args:
        ticket: The help desk's placeholder. It is not encoded: the help desk would not find it again.
    """
    scale, address = SCALES[survey.scale], link(survey, public_url)
    if not scale.choices:
        return [ScoreLink(f"{address}?c_ticket={ticket}", "Tell us", "Tell us")]
    meaning = dict(zip((scale.choices[0], scale.choices[-1]), scale.ends, strict=True)) if scale.ends else {}
    return [
        ScoreLink(
            f"{address}?score={choice.written}&c_ticket={ticket}",
            f"{choice.emoji} {choice.label}".strip(),
            f"{choice.label} ({meaning[choice]})" if choice in meaning else choice.label,
        )
        for choice in scale.shown
    ]


def qr_code(survey: Survey, public_url: str) -> bytes:
    """The link as a QR code, in SVG: one millimetre a square, readable with a quarter of it dirty or torn."""
    drawn = BytesIO()
    segno.make_qr(link(survey, public_url), error="q").save(
        drawn, kind="svg", unit="mm", scale=1, dark="#000", light="#fff", title=survey.question
    )
    return drawn.getvalue()


def widget(survey: Survey, public_url: str, mode: str) -> str:
    """The script that shows the question on a page.

    Args:
        mode: One of `MODES`.
    """
    return (
        f'<script src="{public_url}/static/widget.js"\n'
        f'  data-survey="{survey.slug}" data-mode="{mode}" data-context-page="/help" defer></script>'
    )


def frame(survey: Survey, public_url: str) -> str:
    """The frame that shows the question on a page without any script. Its looks are attributes: a strict policy of the
    page would refuse styles."""
    return (
        f'<iframe src="{link(survey, public_url)}/embed?c_page=/help"\n'
        '  title="Feedback" width="100%" height="720" frameborder="0"></iframe>'
    )


def function(survey: Survey, public_url: str) -> str:
    """The script and a call that opens the popover at a moment the page chooses."""
    return (
        f'<script src="{public_url}/static/widget.js" defer></script>\n\n'
        f'FeedbackLoop.open("{survey.slug}", {{ context: {{ page: "/help", order: "1042" }} }});\n'
        'FeedbackLoop.on("answered", (event) => console.log(event.survey));'
    )
