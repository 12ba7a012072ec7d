"""Answers of a real croniter, one JSON line for each question read from standard input.

A question is {"expr", "base", "tz"}. The answer says whether croniter refuses the text, and else what it gives three
times forward by the method of Hermes 0.22 (naive wall clock, then the zone with fold 0, then 1), twice back on the
naive wall clock, and one step each way from the time with its zone. null: it found no date. Instants are microseconds.
"""

import json
import random
import sys
import zlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

EPOCH = datetime(1970, 1, 1)


def micros(naive):
    return (naive - EPOCH) // timedelta(microseconds=1)


def instant(aware):
    return micros(aware.astimezone(timezone.utc).replace(tzinfo=None))


def hermes_next(expr, base, zone):
    # Hermes reads its base from a text with an offset, so a time that the spring change left out has become a real one.
    base = base.astimezone(timezone.utc)
    it = croniter(expr, base.astimezone(zone).replace(tzinfo=None))
    wall = it.get_next(datetime)
    for _ in range(2):
        for fold in (0, 1):
            candidate = wall.replace(tzinfo=zone, fold=fold)
            if candidate.timestamp() > base.timestamp():
                return candidate
        wall = it.get_next(datetime)
    return wall.replace(tzinfo=zone)


def found(step):
    """The step's answer, or None where croniter gives up or runs out of calendar."""
    try:
        return step()
    except (CroniterError, OverflowError, ValueError):
        return None


def forward(expr, base, zone):
    answers = []
    for _ in range(3):
        base = found(lambda: hermes_next(expr, base, zone))
        answers.append(None if base is None else instant(base))
        if base is None:
            break
    return answers


def back(expr, wall):
    answers = []
    for _ in range(2):
        wall = found(lambda: croniter(expr, wall).get_prev(datetime))
        answers.append(None if wall is None else micros(wall))
        if wall is None:
            break
    return answers


def answer(question):
    expr = question["expr"]
    # R draws at random; both sides draw the text's own number instead.
    random.randint = lambda low, high: zlib.crc32(expr.encode())
    zone = ZoneInfo(question["tz"])
    base = (EPOCH.replace(tzinfo=timezone.utc) + timedelta(milliseconds=question["base"])).astimezone(zone)
    try:
        croniter(expr, base)
    except CroniterError as error:
        return {"refused": str(error).strip().splitlines()[-1]}
    zoned_next = found(lambda: croniter(expr, base).get_next(datetime))
    zoned_previous = found(lambda: croniter(expr, base).get_prev(datetime))
    return {
        "next": forward(expr, base, zone),
        "previous": back(expr, base.replace(tzinfo=None)),
        "zonedNext": None if zoned_next is None else micros(zoned_next.replace(tzinfo=None)),
        "zonedPrevious": None if zoned_previous is None else micros(zoned_previous.replace(tzinfo=None)),
    }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
