"""Every setting: its environment name, its default, and what it means. Nothing else lives here.

Read by `feedback_loop/settings.py`, which turns the texts into typed values and refuses bad ones;
`docs/operating.md` lists the same names (a test compares the two).
"""

SETTINGS: dict[str, tuple[str, str]] = {
    # name: (default, meaning)
    "DATA_FOLDER": ("./data", "Folder for the SQLite file, the secret key and the demo mailbox."),
    "BACKUP_FOLDER": ("", "Folder that feedback-loop backup writes to; empty means backups in DATA_FOLDER."),
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
    "TRUSTED_PROXIES": (
        "",
        "Reverse proxies in front, each adding to X-Forwarded-For; empty means 1 with an https PUBLIC_URL, else 0.",
    ),
    "RATE_LIMIT_STORAGE": (
        "",
        "Where rate limits are counted: memory://, redis://HOST:6379/0, or off; empty means the database where that is "
        "PostgreSQL, else memory.",
    ),
    "ANSWERS_PER_MINUTE": (
        "60",
        "Answers to one survey from one network in a minute, after which its browsers have to give a proof of work.",
    ),
    "API_REQUESTS_PER_MINUTE": ("600", "Requests that one API key may make in a minute."),
    "ENGINE": (
        "auto",
        "auto lets procrastinate tell workers of new work at once, where the database is PostgreSQL; clock never does, "
        "and they look every few seconds.",
    ),
    "EMBEDDING_THREADS": ("2", "Threads on which a worker embeds texts; 1 where as many workers as cores run."),
    "ANALYSIS_MEMORY_MB": (
        "4096",
        "Most memory, in MB, of the process in which a worker refines; beyond it the refine fails and is tried again "
        "later. 0: no limit. Kept on Linux only.",
    ),
    "WEB_PROCESSES": ("1", "Web server processes; keep 1 with SQLite."),
    "WEB_THREADS": ("24", "Threads of each web server process."),
    "COMPANY_NAME": ("Our company", "The name customers know you by; shown on survey pages and in mails."),
    "MAIL_TRANSPORT": (
        "smtp",
        "smtp sends through SMTP_HOST; mailbox only writes mails to DATA_FOLDER/mailbox (demo).",
    ),
    "MAIL_FROM": ("Feedback <feedback@localhost>", "Sender of every mail."),
    "INBOUND_ADDRESS": (
        "",
        "Mailbox at which mails that come back and replies arrive, such as loop@example.com; its server must take "
        "loop+ANYTHING@example.com, too. Empty: they go to MAIL_FROM, and nothing here reads them.",
    ),
    "INBOUND_IMAP_HOST": ("", "IMAP server of that mailbox, looked into each minute; empty: it is not."),
    "INBOUND_IMAP_PORT": ("", "Port of the IMAP server; empty means 993 with tls, else 143."),
    "INBOUND_IMAP_USER": ("", "User name for the IMAP server; empty means INBOUND_ADDRESS."),
    "INBOUND_IMAP_PASSWORD": ("", "Password for the IMAP server."),
    "INBOUND_IMAP_SECURITY": ("tls", "tls, starttls or none."),
    "INBOUND_IMAP_FOLDER": ("INBOX", "Folder of the mailbox that is read."),
    "SMTP_HOST": ("127.0.0.1", "Mail server to hand mails to."),
    "SMTP_PORT": ("25", "Port of the mail server."),
    "SMTP_USER": ("", "User name for the mail server; empty means no sign-in."),
    "SMTP_PASSWORD": ("", "Password for the mail server."),
    "SMTP_SECURITY": ("none", "none, starttls or tls."),
    "SMTP_TIMEOUT": (
        "30",
        "Seconds a mail server has to take a mail, and as many again to say that it did; more count as not answering.",
    ),
    "SMTP_CONNECTIONS": (
        "1",
        "Mails that one worker hands over at once, each over a connection of its own; more for a mail server far away.",
    ),
    "MAILS_PER_DOMAIN": (
        "4",
        "Of these, the most at once to addresses of one domain; 0: no limit.",
    ),
    "IDEMPOTENCY_HEADER": (
        "",
        "Header under which each mail carries a key of its own, the same in a repeat, for mail services that drop "
        "repeats, such as Resend-Idempotency-Key; empty: none.",
    ),
    "DEFAULT_TIME_ZONE": (
        "UTC",
        "Time zone of customers whose own is not known, of the dates of surveys, and of the first service level, such "
        "as Europe/Berlin.",
    ),
    "CONTACT_LIMIT": (
        "3",
        "Most mails one address gets in CONTACT_DAYS days; closing notices count and are always sent; 0: no limit.",
    ),
    "CONTACT_DAYS": ("30", "Days over which CONTACT_LIMIT counts."),
    "CLOSINGS_IN_BUDGET": (
        "no",
        "yes leaves those who had CONTACT_LIMIT mails out of notification runs until somebody puts them back; or no.",
    ),
    "APPROVAL_ABOVE": (
        "500",
        "Notification runs to more people than this are approved by a second lead or admin; 0: never.",
    ),
    "EMBEDDING_MODEL": ("minilm", "minilm, multilingual, sentence-transformers/NAME, or a folder with model.onnx."),
    "COMMENT_LIMIT": ("4000", "Longest comment a customer may send, in characters."),
    "RAW_TEXT_DAYS": (
        "30",
        "Days until the unredacted text of an answer is destroyed; 0 destroys it as soon as it is redacted.",
    ),
    "PHONE_REGION": ("", "Two-letter country whose national phone numbers are recognised besides international ones."),
    "REFINE_MINUTES": ("15", "Least minutes between two refines of the complaints."),
    "FOLLOW_UP_AFTER_DAYS": (
        "3",
        "Days after a fix takes effect, or after they were told of it if later, until customers are asked whether it "
        "is fixed; with 0 the mail that tells them asks at once.",
    ),
    "FOLLOW_UP_DAYS": ("14", "Days customers have to answer, once asked, before the verdict is drawn."),
    "PRIORITY_THRESHOLDS": (
        "5 20 80",
        "From what product of people, severity and trend on an action item is of normal, high and urgent priority.",
    ),
    "DIGEST_HOUR": ("8", "Hour, in DEFAULT_TIME_ZONE, at which colleagues get their digest."),
    "HOLD_MINUTES": (
        "10",
        "Minutes between releasing a notification run and its first mail, during which it can be undone.",
    ),
    "LOG_FORMAT": ("auto", "console, json, or auto: text on a terminal, else one JSON object a line."),
    "LOG_LEVEL": ("info", "Least level that is logged: debug, info, warning or error."),
    "METRICS_TOKEN": (
        "",
        "Token that /metrics wants as Authorization: Bearer; empty answers only who asks directly on this machine, and "
        "nobody where PUBLIC_URL is a public address.",
    ),
    "OUTBOUND_ALLOW": (
        "",
        "Private targets that webhooks and trackers may call, also over http: host:port or networks, apart by commas.",
    ),
}
