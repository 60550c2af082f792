"""Where to look for hyperparameters, and what to try next given what came of the trials so far. Optuna proposes."""
