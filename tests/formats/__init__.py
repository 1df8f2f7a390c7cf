"""The shop's events in every encoding that is taken."""
