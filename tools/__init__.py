"""Commands for operators and maintainers; nothing here ships."""
