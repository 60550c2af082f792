"""Tables and lines for people, made from what others computed; nothing is computed here but means for display."""
