"""Push notifications: who gets which and when, the devices that show them, and which devices show a task now."""
