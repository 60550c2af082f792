"""Faults found before hours are spent: in the data, the model, the method, the store, the machine."""
