"""What `lifecycle.py` measures, one file each: `measure(...)` returns rows of its table."""
