"""What the store knows of a study's runs, told to W&B, MLflow, TensorBoard or Trackio: while it runs, or afterwards.

    Plan -subjects_of-> Subject + Store -told_run-> ToldRun -tell_all-> a tracker, and STORE/exports/<tracker>/told/

A process of its own does the telling (`serve.py`), whether a study is running (`live.py`) or not (`export.py`).
"""
