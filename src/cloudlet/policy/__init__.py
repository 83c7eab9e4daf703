"""Pure decisions: a frozen snapshot and a time in, a plan with its "because" out. No clock, no I/O."""
