"""Push notifications, devices and presence."""
