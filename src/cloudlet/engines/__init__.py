"""The real servers cloudlet embeds: found (`locate`), constructed (`registry`), one file each."""
