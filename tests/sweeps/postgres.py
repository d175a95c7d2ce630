"""A PostgreSQL server of a test's own, on a socket in a folder."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["postgres", "programs"]


def programs() -> Path | None:
    """Where PostgreSQL's programs are; None where there are none."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Give the URL of an empty database; the server ends with the block.

    It refuses to run as root, so that it runs as another user where the tests do.

    Args:
        folder: For its files; short, as a socket's path has a limit, and open to other users all the way up.
    """
    where = programs()
    assert where is not None
    data, user = folder / "data", None
    if os.getuid() == 0:
        names = [entry.pw_name for entry in pwd.getpwall()]
        user = "postgres" if "postgres" in names else "nobody"
        shutil.chown(folder, user)

    def run(program: str, *words: str) -> None:
        subprocess.run([str(where / program), *words], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    run("initdb", "-D", str(data), "-U", "sweeper", "--auth=trust", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://sweeper@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
