"""What `anr` and `python -m anrcli` start: nothing is imported before an interruption is cared for."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130
SAID = "Interrupted before anything was done."


def main() -> int:
    """Runs one command; returns its exit code (`anrcli.app.main`)."""
    try:
        import signal
    except KeyboardInterrupt:
        _leave()
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:             # else somebody has ignored it: nohup, a shell's background
        signal.signal(signal.SIGINT, _leave)
    from anrcli import app

    signal.signal(signal.SIGINT, usual)
    code = app.main()
    # A Ctrl-C that fell into an exec() of a library's (dataclasses have many) is remembered by CPython although it was
    # caught, and would replace the exit code by a signal's; the next exec() forgets it.
    exec("")
    return code


def _leave(*_signal: object) -> None:
    """Ends at once, with a word: the program is still being read (half a second), and nothing has been begun.

    An exception would not do: NumPy turns one that comes while it is imported into advice on its installation.
    """
    if "--json" in sys.argv:
        os.write(1, (f'{{"command": "", "ok": false, "outputs": {{}}, "figures": {{}}, '
                     f'"error": {{"message": "{SAID}", "hint": ""}}}}\n').encode())
    os.write(2, f"error: {SAID}\n".encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
