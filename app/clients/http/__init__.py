"""HTTP to other servers, with a timeout on every request; also to hosts that users choose."""
