"""Every command, in the order `anr --help` lists them."""

from __future__ import annotations

from anrcli.commands.bench import BENCH
from anrcli.commands.benchmark import BENCHMARK
from anrcli.commands.clean import CLEAN
from anrcli.commands.command import Command
from anrcli.commands.demo import DEMO
from anrcli.commands.doctor import DOCTOR
from anrcli.commands.models import MODEL_COMMANDS
from anrcli.commands.objects import OBJECT
from anrcli.commands.run import RUN
from anrcli.commands.stages import STAGE_COMMANDS
from anrcli.commands.status import STATUS
from anrcli.commands.study import STUDY

COMMANDS: dict[str, Command] = {command.name: command for command in (
    DEMO, RUN, *STAGE_COMMANDS, *MODEL_COMMANDS, OBJECT, STATUS, DOCTOR, BENCH, BENCHMARK, STUDY, CLEAN)}
