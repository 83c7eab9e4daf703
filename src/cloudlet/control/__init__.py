"""The daemon: desired state, reconcile loop, API. Wires the parts together."""
