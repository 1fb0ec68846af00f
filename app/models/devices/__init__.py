"""Tables of devices: their registration for pushes, and the tasks that they show."""
