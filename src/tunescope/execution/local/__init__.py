"""Jobs in worker processes of this machine, one per device."""
