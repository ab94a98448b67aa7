"""The made-up company of the demo: its people, surveys and rules, and what it did about some complaints."""

from __future__ import annotations

from dataclasses import dataclass

from feedback_loop.accounts.models import Role
from feedback_loop.actions.closing.service import Closing
from feedback_loop.actions.models import Outcome
from feedback_loop.surveys.models import ScaleName

NAME = "Fernhill Outdoor"
MAIL_FROM = "Fernhill Outdoor <care@fernhill.example>"
TEAMS = ("Customer care", "Delivery", "Shop and payments", "App and website", "Products")


@dataclass(frozen=True)
class Person:
    """Somebody who works there."""

    email: str
    name: str
    role: Role
    team: str


LEAD = Person("lena@fernhill.example", "Lena Marsh", Role.LEAD, "Customer care")
PEOPLE = (
    Person("ada@fernhill.example", "Ada Quill", Role.ADMIN, "Customer care"),
    LEAD,
    Person("omar@fernhill.example", "Omar Reyes", Role.OWNER, "Delivery"),
    Person("olga@fernhill.example", "Olga Brandt", Role.OWNER, "Shop and payments"),
    Person("tomas@fernhill.example", "Tomas Ferreira", Role.OWNER, "App and website"),
    Person("priya@fernhill.example", "Priya Nair", Role.OWNER, "Products"),
    Person("vera@fernhill.example", "Vera Holt", Role.VIEWER, "Customer care"),
)

SURVEYS = (
    ("help-centre", "Help centre", "Was this page helpful?", ScaleName.HELPFUL),
    ("order-delivered", "Order delivered", "How satisfied are you with your order?", ScaleName.CSAT),
    ("app", "App", "How likely are you to recommend our app to a friend?", ScaleName.NPS),
)

# What customers of a survey can tick, and within how many days somebody reads what they wrote.
TAGS = {"order-delivered": ["Delivery", "Packaging", "The product", "The price"]}
REPLY_DAYS = 3

# Keyword, survey, team: the first that fits decides.
RULES = (
    ("tracking", "", "Delivery"),
    ("parcel", "", "Delivery"),
    ("courier", "", "Delivery"),
    ("collect", "", "Delivery"),
    ("refund", "", "Shop and payments"),
    ("invoice", "", "Shop and payments"),
    ("charged", "", "Shop and payments"),
    ("code", "", "Shop and payments"),
    ("card", "", "Shop and payments"),
    ("app", "", "App and website"),
    ("password", "", "App and website"),
    ("search", "", "App and website"),
    ("jacket", "", "Products"),
    ("zip", "", "Products"),
    ("boot", "", "Products"),
    ("pole", "", "Products"),
    ("repair", "", "Products"),
    ("", "app", "App and website"),
)


@dataclass(frozen=True)
class Story:
    """What happened to one complaint.

    Attributes:
        problem: The problem of the sample answers that it is about.
        owner: Mail address of who worked on it.
        taken_on: Days ago.
        due: Days from now, may be negative; None for no date.
        comment: What the owner wrote for colleagues.
        closing: What was done; None while it is being worked on.
        closed: Days ago.
        yes: How many of those told said it is fixed.
        no: What those said who said it is not; one each.
    """

    problem: str
    owner: str
    taken_on: int
    due: int | None
    comment: str
    closing: Closing | None = None
    closed: int = 0
    yes: int = 0
    no: tuple[str, ...] = ()


STORIES = (
    Story(
        "parcel-left-in-rain",
        "omar@fernhill.example",
        30,
        None,
        "Rode along with two drivers. They have nowhere to note that a porch is open to the weather.",
        Closing(
            Outcome.FIXED,
            "Drivers now carry rain sleeves, and the delivery form asks for a dry place before it can be completed.",
            "The delivery form had no step for the weather, and drivers had nothing to wrap a parcel in.",
            "Since the first of the month our drivers carry rain sleeves and have to note a dry place before they "
            "can complete a delivery. If a parcel still reaches you wet, we replace what is in it.",
        ),
        26,
        yes=5,
    ),
    Story(
        "password-reset-mail-missing",
        "tomas@fernhill.example",
        28,
        None,
        "Our mails are refused by two large mailbox providers since we moved to the new server.",
        Closing(
            Outcome.FIXED,
            "Had the new mail server's address entered at both providers and sent the waiting mails.",
            "The new mail server was not known to two mailbox providers.",
            "Mails with a link for a new password did not reach everybody, because two mailbox providers refused "
            "our new server. We have cleared that up with them. The mail should now be with you within a minute.",
        ),
        24,
        yes=1,
        no=(
            "Tried twice this morning, no mail, not in the junk folder either.",
            "Nothing has come for me.",
            "Still locked out.",
        ),
    ),
    Story(
        "boot-size-chart-wrong",
        "priya@fernhill.example",
        25,
        None,
        "The supplier changed its lasts last year and nobody measured them again.",
        Closing(
            Outcome.FIXED,
            "Measured 38 models again and replaced their charts; the shop shows the date of each chart.",
            "Charts were copied from the supplier and not checked when it changed its lasts.",
            "We have measured all our boots again and replaced the size charts. If you bought a pair by the old "
            "chart, you may exchange it until the end of the year, worn or not.",
        ),
        3,
        yes=2,
    ),
    Story(
        "unsubscribe-ignored",
        "tomas@fernhill.example",
        27,
        None,
        "Two lists, one of them forgotten in the old mail tool.",
        Closing(
            Outcome.FIXED,
            "Joined both lists and switched the old mail tool off.",
            "The link took people off one of two lists.",
            "Our newsletter went out from two lists, and the link took you off only one. Both are one list now, "
            "and you are off it if you ever asked to be. We are sorry that it took so long.",
        ),
        22,
        yes=4,
    ),
    Story(
        "gift-card-balance-hidden",
        "olga@fernhill.example",
        14,
        None,
        "The card processor bills us for every balance request; the team weighs costs.",
        Closing(
            Outcome.DECLINED,
            "Looked at three ways to show the balance online; each needs a new card processor.",
            "Our card processor offers no balance request to web pages.",
            "We cannot show the balance of gift cards on our website this year: the firm that runs our cards does "
            "not offer it. Any shop, and our phone line, can tell you the balance in a minute. We take this up "
            "again when the contract ends in spring.",
        ),
        5,
    ),
    Story(
        "app-logs-me-out",
        "tomas@fernhill.example",
        6,
        4,
        "Happens after every update: the old session key is dropped. A fix is in testing.",
    ),
    Story(
        "repair-service-silent",
        "priya@fernhill.example",
        13,
        -2,
        "The workshop has no way to send a note when a repair moves on. Asking for access to the ticket system.",
    ),
    Story(
        "collect-order-not-ready",
        "omar@fernhill.example",
        9,
        7,
        "Stores get the picking list once a day, at nine. Trying every two hours in Bristol.",
    ),
)
