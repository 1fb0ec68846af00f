"""Push notifications: who gets which and when, the devices that show them, and the presence of people."""
