"""What the keeper answers when it cannot: `kind` names the class in cloudlet.errors that the client
raises."""

from __future__ import annotations


class KeeperError(Exception):
    """A request that cannot be carried out."""

    kind = "InternalError"


class Refused(KeeperError):
    """It conflicts with what is."""

    kind = "Refused"


class Impossible(KeeperError):
    """What was asked for cannot be: a program or a folder is not there, or may not be used."""

    kind = "OperatorError"
