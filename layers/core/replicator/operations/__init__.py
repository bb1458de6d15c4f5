"""What each function does: the pure decisions and the effects, put together."""
