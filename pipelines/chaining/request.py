"""What is asked of the chain, and what it hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.chaining.stages import AVATAR_STAGES, of_person
from pipelines.core.stage import Stage
from pipelines.core.workspace import Version


@dataclass(frozen=True)
class Request:
    """What somebody asked for: options typed now, by stage and option name."""

    person: str = "me"                  # whose person stages
    people: tuple[str, ...] = ()        # who trains; () = those of the newest model, or everybody
    avatar: str = "main"
    typed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fresh: bool = False                 # begin an interrupted training anew

    def asked_of(self, stage: Stage, owner: str) -> Request:
        """What was asked of a stage of an owner: options typed for an avatar are not for the one it was made from."""
        if of_person(stage) or owner == self.avatar:
            return self
        of_avatars = {each.name for each in AVATAR_STAGES}
        typed = {name: options for name, options in self.typed.items() if name not in of_avatars}
        return replace(self, avatar=owner, people=(), typed=typed, fresh=False)

    def typed_for(self, stage: Stage) -> Mapping[str, Any]:
        """The options typed now for a stage."""
        return self.typed.get(stage.name, {})


@dataclass(frozen=True)
class Result:
    """One stage of one owner, up to date."""

    stage: Stage
    owner: str                          # "ada" or "avatar main"
    version: Version
    made: bool                          # False: nothing had to be done
    seconds: float = 0.0
