"""A look at events before anything is set up: sample → encoding → mapping → what the decoder makes of it."""
