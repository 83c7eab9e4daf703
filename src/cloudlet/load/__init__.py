"""Load as users make it: an open loop at a rate or a closed one at a concurrency, every failure counted."""
