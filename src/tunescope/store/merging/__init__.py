"""Several stores -> one."""
