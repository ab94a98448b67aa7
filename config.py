"""Every setting: its environment name, its default, and what it means. Nothing else lives here.

Read by `feedback_loop/settings.py`, which turns the texts into typed values and refuses bad ones;
`docs/operating.md` lists the same names (a test compares the two).
"""

SETTINGS: dict[str, tuple[str, str]] = {
    # name: (default, meaning)
    "DATA_FOLDER": ("./data", "Folder for the SQLite file, the secret key and the demo mailbox."),
    "DATABASE_URL": ("", "Database address; empty means the file feedback-loop.db in DATA_FOLDER."),
    "SECRET_KEY": (
        "",
        "Key for sessions, form tokens and stored raw texts; empty means the file secret-key in DATA_FOLDER.",
    ),
    "PUBLIC_URL": (
        "http://127.0.0.1:8000",
        "Address under which customers and staff reach the site; links in mails begin with it.",
    ),
    "BIND": ("127.0.0.1:8000", "Address and port the web server listens on."),
    "WEB_PROCESSES": ("1", "Web server processes; keep 1 with SQLite."),
    "WEB_THREADS": ("8", "Threads of each web server process."),
    "COMPANY_NAME": ("Our company", "The name customers know you by; shown on survey pages and in mails."),
    "MAIL_TRANSPORT": (
        "smtp",
        "smtp sends through SMTP_HOST; mailbox only writes mails to DATA_FOLDER/mailbox (demo).",
    ),
    "MAIL_FROM": ("Feedback <feedback@localhost>", "Sender of every mail."),
    "SMTP_HOST": ("127.0.0.1", "Mail server to hand mails to."),
    "SMTP_PORT": ("25", "Port of the mail server."),
    "SMTP_USER": ("", "User name for the mail server; empty means no sign-in."),
    "SMTP_PASSWORD": ("", "Password for the mail server."),
    "SMTP_SECURITY": ("none", "none, starttls or tls."),
    "SMTP_TIMEOUT": ("30", "Seconds until a mail server counts as not answering."),
    "DEFAULT_TIME_ZONE": ("UTC", "Time zone of customers whose own is not known, such as Europe/Berlin."),
    "CONTACT_LIMIT": (
        "3",
        "Most mails one address gets in CONTACT_DAYS days; closing notices count and are always sent; 0: no limit.",
    ),
    "CONTACT_DAYS": ("30", "Days over which CONTACT_LIMIT counts."),
    "EMBEDDING_MODEL": ("minilm", "minilm, multilingual, sentence-transformers/NAME, or a folder with model.onnx."),
    "COMMENT_LIMIT": ("4000", "Longest comment a customer may send, in characters."),
    "RAW_TEXT_DAYS": (
        "30",
        "Days until the unredacted text of an answer is destroyed; 0 destroys it as soon as it is redacted.",
    ),
    "PHONE_REGION": ("", "Two-letter country whose national phone numbers are recognised besides international ones."),
    "REFINE_MINUTES": ("15", "Least minutes between two refines of the complaints."),
    "FOLLOW_UP_DAYS": ("14", "Days customers have to say whether it is fixed before the verdict is drawn."),
    "HOLD_MINUTES": (
        "10",
        "Minutes between closing an action item and the first mail, during which the closing can be undone.",
    ),
}
