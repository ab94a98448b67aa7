"""What lies under a folder: the type of its file system, and whether a database may live there."""

from __future__ import annotations

import re
from pathlib import Path

from feedback_loop.settings import SettingError

MOUNTS = Path("/proc/self/mountinfo")  # of Linux; elsewhere nothing is known, and nothing refused
NETWORK = re.compile(
    "9p|acfs|afpfs|afs|beegfs|ceph|cifs|coda|davfs|gfs2?|glusterfs|gpfs|lustre|ncp|ncpfs|nfs[34]?|ocfs2|orangefs|panfs|"
    "pvfs2|smb[23]|smbfs|vboxsf|webdav"
)
# File systems in a program of their own: those named here pass everything on to another machine or a store.
NETWORK_FUSE = re.compile(
    r"fuse\.(sshfs|s3fs|s3ql|rclone|goofys|gcsfuse|glusterfs|ceph|cephfs|davfs2?|curlftpfs|smbnetfs|nfs|moosefs|mfs|"
    r"seaweedfs|juicefs|blobfuse2?|gvfsd-fuse|beegfs)\b.*"
)


def unescaped(field: str) -> str:
    r"""A field of mountinfo as it is meant: blanks are written there as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that a folder lies on.

    Args:
        folder: An absolute path; it need not exist yet.
        mounts: The text of mountinfo (proc(5)). Of mounts on one place the last one hides the others.

    Returns:
        Such as `ext4`; empty where it cannot be told.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not source:
            continue
        place = Path(unescaped(fields[4]))
        if folder.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), source.split(" ")[0]
    return kind


def file_system_of(folder: Path) -> str:
    """The type of the file system that a folder of this machine lies on; empty where it cannot be told."""
    try:
        return file_system(folder.resolve(), MOUNTS.read_text(errors="surrogateescape"))
    except OSError:
        return ""


def is_network(kind: str) -> bool:
    """Whether files of this type of file system lie on another machine."""
    return NETWORK.fullmatch(kind) is not None or NETWORK_FUSE.fullmatch(kind) is not None


def refuse_network(folder: Path) -> None:
    """Let no SQLite database be opened where its locks and its shared memory do not hold.

    Raises:
        SettingError: It lies on a network file system; says what to do.
    """
    kind = file_system_of(folder)
    if is_network(kind):
        raise SettingError(
            f"The SQLite database would lie in {folder}, on a network file system ({kind}), where its locks do not "
            "hold and it would be damaged. Set DATA_FOLDER to a folder on a disk of this machine, or DATABASE_URL to a "
            "PostgreSQL server."
        )
