"""What funnelwatch talks about: events, funnels, rows and their names. Imports nothing of the project but itself."""
