"""A key for dead letters, and the letters that a test's monitor has buried, opened."""

from __future__ import annotations

import base64

from schemas import topics as names
from schemas.dead_letter import DeadLetter
from schemas.privacy.sealing import Seal
from streams.stream.letters import decode_letter
from tests.e2e.stack import Stack

KEY = base64.b64encode(bytes(range(32))).decode()
#: For the settings of a site.
PRIVACY = f'[privacy]\ndead_letter_key = "{KEY}"\n'


def opened_letters(stack: Stack) -> list[DeadLetter]:
    """All letters of the topic, as their records came."""
    seal = Seal(KEY)
    found = stack.read_topic(names.dead_letters(stack.prefix))
    return [seal.open(decode_letter(record.value)) for record in found if record.value is not None]
