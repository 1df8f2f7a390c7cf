"""Dead letters after the fact: found, shown, and put back once they can be used."""
