"""A process of its own for chDB, which must not be forked once it is imported: one SQL query a line in, TSV out.

Run as a script. An empty line parts the answers.
"""

from __future__ import annotations

import sys

import chdb

if __name__ == "__main__":
    for query in sys.stdin:
        print(chdb.query(query, "TSV"))
