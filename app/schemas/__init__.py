"""What goes over the wire: validated bodies coming in, typed answers going out. No I/O, no tables."""
