"""A store on object storage, and this machine's copy of it."""
