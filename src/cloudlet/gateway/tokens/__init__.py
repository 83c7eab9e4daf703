"""Tokens: those of others verified for the edge, and those that cloudlet gives out.

claims, keys → jwt ← jwks ← fetch
introspection ← fetch
verify (asked by the edge), issue (the token endpoint and its key set)
"""
