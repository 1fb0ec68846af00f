"""Web push (RFC 8030, 8291, 8292): messages to browsers, through the push service of each browser."""
