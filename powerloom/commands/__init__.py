"""The one governed write path: commands, their handlers and the door they go through."""
