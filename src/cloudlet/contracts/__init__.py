"""The types and protocols by which the parts meet; `control` wires them together."""
