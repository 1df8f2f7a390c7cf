"""Prints the settings' reference (docs/settings.md)."""

import sys

from schemas.settings.reference import reference

sys.stdout.write(reference())
