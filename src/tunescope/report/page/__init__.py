"""A report -> one HTML file that needs nothing beside it: no network, no other file."""
