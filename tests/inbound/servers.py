"""A small IMAP server on loopback that knows what the poll asks, and can be told to fail."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Folder:
    """What lies in the mailbox, and what was done to it."""

    mails: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, set[str]] = field(default_factory=dict)
    password: str = "right"
    keeps_words: bool = True
    breaks_at: int = 0  # the connection ends at the fetch of this mail
    refuses: set[int] = field(default_factory=set)  # to fetch these
    port: int = 0

    def put(self, raw: bytes) -> None:
        self.mails[len(self.mails) + 1] = raw


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        folder: Folder = self.server.folder  # type: ignore[attr-defined]
        self.say("* OK here")
        for line in self.rfile:
            tag, _, rest = line.decode().strip().partition(" ")
            command = rest.upper()
            if command.startswith("CAPABILITY"):
                self.say("* CAPABILITY IMAP4rev1")
            elif command.startswith("LOGIN") and f'"{folder.password}"' not in rest:
                self.say(f"{tag} NO wrong password")
                continue
            elif command.startswith("SELECT"):
                if "INBOX" not in rest:
                    self.say(f"{tag} NO no such folder")
                    continue
                self.say(f"* {len(folder.mails)} EXISTS")
            elif command.startswith("UID SEARCH UNSEEN"):
                unseen = [str(uid) for uid in folder.mails if "\\Seen" not in folder.flags.get(uid, set())]
                self.say(f"* SEARCH {' '.join(unseen)}")
            elif command.startswith("UID FETCH"):
                uid = int(rest.split()[2])
                if uid == folder.breaks_at:
                    return
                if uid in folder.refuses:
                    self.say(f"{tag} NO [SERVERBUG] internal error")
                    continue
                limit = int(re.findall(r"<0\.(\d+)>", rest)[0])
                raw = folder.mails[uid][:limit]
                self.wfile.write(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
            elif command.startswith("UID STORE"):
                uid, flag = int(rest.split()[2]), rest.split("(")[1].rstrip(")")
                if not flag.startswith("\\") and not folder.keeps_words:
                    self.say(f"{tag} NO no words of your own")
                    continue
                folder.flags.setdefault(uid, set()).add(flag)
            elif command.startswith("LOGOUT"):
                self.say("* BYE")
                self.say(f"{tag} OK done")
                return
            self.say(f"{tag} OK done")


@contextmanager
def running(folder: Folder) -> Iterator[Folder]:
    """Run the server on a free port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.folder = folder  # type: ignore[attr-defined]
        folder.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield folder
        finally:
            server.shutdown()
            thread.join()
