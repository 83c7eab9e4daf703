"""What the shop's services have in common; each finds it through PYTHONPATH."""
