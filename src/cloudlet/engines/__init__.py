"""The real servers that cloudlet embeds: each located, configured, started, checked and stopped by one abstraction."""
