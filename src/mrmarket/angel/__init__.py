"""The watchdog: sees that an engine has fallen silent, and takes its orders off the exchanges."""
