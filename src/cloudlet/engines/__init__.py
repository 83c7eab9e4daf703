"""The real servers cloudlet embeds: found (`locate`), constructed (`registry`), each in a file beside its
template."""
