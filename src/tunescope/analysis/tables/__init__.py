"""Tables of scores that do not come from a store: read, compared pair by pair, ranked."""
