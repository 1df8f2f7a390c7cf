"""The commands of `funnelwatch`, one module each."""
