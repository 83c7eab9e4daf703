"""What happened and what is happening: the journal, metrics in Prometheus names."""
