"""Instances: processes, ports, logs, limits, adoption; and the keeper, their parent."""
